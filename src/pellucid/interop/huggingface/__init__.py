"""Hugging Face MarianMT folders, read and written: configuration, names of tensors, and references to compare with.

Only what belongs to this format is here: no other folder uses its names. Read ``config.py`` first, then ``names.py``
and ``reading.py``.
"""
