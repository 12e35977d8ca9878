"""The edit list: what a reader changed in a model or a translation, as text, and how a pass and a search apply it.

``edits.py`` above defines the edits of values, and ``choices.py`` here those of words and pieces. ``text.py`` reads and
writes the list, ``recorder.py`` applies edits while the model computes, and ``search.py`` translates with them. Read
``choices.py`` first.
"""
