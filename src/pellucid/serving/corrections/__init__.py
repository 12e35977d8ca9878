"""Corrections that come back from users: a journal on disk that people review, and that ``pellucid learn`` reads.

Nothing is written unless the server is started with ``--corrections``. ``journal`` has the file, and ``states`` what
became of each correction.
"""
