"""The tree of a search: every candidate of every step, what became of it and why, and how the hypotheses rank.

``record.py`` is the tree, ``recorder.py`` watches a search, ``beam.py`` and ``walks.py`` make nodes of what it saw, and
``reference.py`` looks for a given translation in the tree. Nothing here searches: the translator does, as always. Read
``record.py`` first, then ``making.py``.
"""
