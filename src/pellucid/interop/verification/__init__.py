"""Is a copy the same model? Two engines compared on the same sentences.

Nothing here knows a format or a file. Read ``samples.py`` first, then ``comparison.py``.
"""
