"""Hugging Face MarianMT folders, read and written: configuration, names of tensors, and two references.

Only what belongs to this format is here. Read ``config.py`` first, then ``names.py`` and ``reading.py``.
"""
