"""A trace: the record of everything that a model computed for one sentence.

Here live the record, the pass that fills it, edits, provenance and the file on disk. Conclusions from a trace
belong to ``analysis``; nothing here draws, judges or serves. Read ``record.py`` first, then ``making.py``.
"""
