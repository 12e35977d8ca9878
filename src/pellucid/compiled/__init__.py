"""C files of this package, compiled once for the machine at hand, and the cache folder that keeps what that gives.

What the files compute is the matter of the rooms that they lie in: nothing here knows a model or an engine.
Read ``cache.py`` and ``compiler.py``.
"""
