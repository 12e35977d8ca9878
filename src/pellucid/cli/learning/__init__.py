"""Verbs for what users send back: ``corrections`` reviews it, and ``learn`` trains on it.

A file here parses the options of its verb, calls its job in ``jobs/learning`` and prints the lines that it returns.
``serve``, which collects the corrections, stands in the folder above.
"""
