"""Synthetic training text: a model translates text, and what it writes becomes one side of new training pairs.

    pairs.py    lines through a translator to rows: a pair, or the reason why there is none
    corpus.py   rows to a corpus: without duplicates, with counts that add up
    job.py      all of it together: from a model and a file to a corpus, its provenance, and lines for a recipe

The lines go through ``jobs/bulk``, so the parts of a corpus survive a kill. Read ``job.py`` first.
"""
