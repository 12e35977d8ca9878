"""Conclusions from a trace: equations, checks, attention by words, heads, the atlas and warning signs.

Functions take a finished trace and return numbers and records. Nothing here runs a search, draws a picture or writes
a file. A new view of a trace computes its numbers here, and so does an attribution method that needs no more than a
trace; one that runs the model again passes edits to ``tracing.making``. Read ``equations.py`` first, then
``checks.py``.
"""
