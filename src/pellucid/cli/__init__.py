"""The command line: one verb a file, its options, and what it writes to the screen.

Nothing else in pellucid prints. A verb calls one job and contains no logic. Read ``main.py`` first, which registers the
verbs.
"""
