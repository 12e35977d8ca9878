"""Long files, in parts: a file of any length is translated in constant memory and survives a kill.

    tally.py    what is counted: lines, failures, flags
    survey.py   what an input is, and its lines in parts
    folder.py   the finished parts on disk, beside the output
    crew.py     the threads that run parts
    lanes.py    several devices, among which parts are divided
    leases.py   who runs which part, where several processes share a folder
    together.py those processes: each takes what is free, and one of them joins the parts
    work.py     what runs parts, as these modules see it
    files.py    all of it together: from files to an output file
    search.py   how an engine works on parts, and what its result depends on
    lines.py    lines through a translator, which is how a part is run in this process
    records.py  the same with records, which have a text among other fields; table.py reads them from Parquet

Only the last three know a translator. To the others, what runs a part is a function that takes lines and returns text
(``work.Runner``), so that another machine can run parts too. Read ``files.py`` first.
"""
