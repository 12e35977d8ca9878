"""Models of other tools, in and out; each conversion compares both sides before anything stays on disk.

Renaming lives here and nowhere else. ``formats.py`` is the list of formats, ``verification.py`` the
comparison; ``marian_*.py`` is Hugging Face MarianMT. Read ``formats.py`` next.
"""
