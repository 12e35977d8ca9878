"""The page: what it asks and how it is answered, served or carried in a single file or a notebook.

Here live the answers, the catalogue of opened models and the assembly of the HTML. Nothing here speaks HTTP, which
is ``serving``; the page's own scripts and styles are data in ``web``. Read ``answers.py`` first.
"""
