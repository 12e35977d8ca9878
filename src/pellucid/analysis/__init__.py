"""Conclusions from a trace: equations, checks, attention by words, heads, the atlas and warning signs.

Functions take a finished trace and return numbers and records. Nothing here runs a search, draws a picture or writes
a file. A new view of a trace computes its numbers here. ``attribution`` runs the model of a trace again, with its
edits, and says why a piece was written; ``lens.py`` reads every state of the decoder. Read ``equations.py`` first, then
``checks.py``.
"""
