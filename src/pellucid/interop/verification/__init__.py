"""Is a copy the same model? Two engines compared on the same sentences.

Nothing here knows a format or a file; an engine is whatever answers to ``comparison.Engine``. Read ``samples.py``
first.
"""
