"""A trace: everything that a model did with one sentence, as a record that can be read, edited and kept.

Here live the record, the pass that fills it, edits, provenance and the file on disk. What is concluded from a
trace belongs to ``analysis``; nothing here draws, judges or serves. Read ``record.py`` first, then ``making.py``.
"""
