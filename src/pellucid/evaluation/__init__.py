"""Scores with signatures, intervals, a paired test, and reports.

Nothing here uses a model: functions take lists of strings, so any system's output can be scored. Read ``metrics.py``
first.
"""
