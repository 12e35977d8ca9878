"""What the command line says of a translation, in records that the jobs pass on whole.

    translation.py   the search, the engine and the machine; and with them terms, words to keep and memories
    parts.py         how a long file is divided, continued and shared among processes

A verb makes them from its options; a program makes them itself. Read ``translation.py`` first.
"""
