"""Scores with signatures, intervals, a paired test, reports. Knows no models: it takes lists of strings.

Read ``metrics.py`` first.
"""
