"""Comparisons of two traces: ``surface.py`` for Python, ``inspect.py`` for the command line.

The arithmetic is in ``analysis/comparison``, and the answers for the page are in ``page/answers_compare.py``.
Read ``surface.py`` first.
"""
