"""Is a copy the same model? Two engines are compared on the same sentences.

Nothing here knows a format or a file; an engine is any class that implements ``comparison.Engine``. Read ``samples.py``
first.
"""
