"""Translate a file of a format with inline codes: HTML, subtitles, office documents.

The formats and the codes are ``pellucid/documents/``. Here a file is read, its segments are translated with a model,
and a file of the same format is written. Read ``files.py``.
"""
