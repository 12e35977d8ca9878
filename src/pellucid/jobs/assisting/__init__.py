"""Help for a person who types a translation.

``suggest`` gives the words that may come next, for one text or for each line of a stream. What computes them is
``translation/completion``.
"""
