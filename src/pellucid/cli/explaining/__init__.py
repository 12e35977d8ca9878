"""Verbs that explain a translation without a page: ``attribute``.

A file here parses the options of its verb, calls its job in ``jobs/explaining`` and prints the lines that it returns.
``inspect``, which opens the page, stands in the folder above.
"""
