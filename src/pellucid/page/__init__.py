"""The page: the answers to its requests, whether it is served, in a single file or in a notebook.

Here live the answers, the catalogue of opened models and the assembly of the HTML. HTTP belongs to ``serving``; the
scripts and styles of the page are data in ``web``. Read ``answers.py`` first.
"""
