"""What a run notes and remembers of the preparation of its text.

    states.py   whether the files of the text are those of the last start
    copies.py   how many pairs have the same text on both sides
    earlier.py  the store of an earlier preparation, whose rows are copied
    pace.py     how fast the text was prepared, and by how many processes

Read ``../prepare.py`` first, which prepares it.
"""
