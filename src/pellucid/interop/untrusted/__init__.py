"""Files that strangers made: bounded reading, zip archives, SentencePiece models opened in a child process.

Nothing here knows what a file means to a format; it refuses what could do harm and hands on the rest. Read
``files.py`` first.
"""
