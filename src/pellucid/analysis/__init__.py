"""What follows from a trace: equations, checks, attention in words, heads, the atlas and signs of trouble.

Functions take a finished trace and return numbers and records. Nothing here runs a search, draws a picture or
writes a file. A new view of a trace computes its numbers here. Read ``equations.py`` first, then ``checks.py``.
"""
