"""Cutting text into pieces with SentencePiece: learning it, running it, and opening the file of a stranger.

A file is read byte by byte first (``file``), then tried in a process with limits (``foreign``, ``child``), and opened
here only after both (``segmenter``). Nothing in this folder knows ids, special pieces or tags.
"""
