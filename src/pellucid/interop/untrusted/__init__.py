"""Files of other tools that strangers made: bounded reading, JSON tables, zip archives.

Nothing here knows what a file means to a format; it refuses what could do harm. What our own
folders need too is lower (``untrusted.py``, ``npz_file.py``, ``text/sentencepiece/foreign.py``). Read ``files.py``.
"""
