"""The page and its answers over HTTP. Read ``app.py`` first; then ``gate.py``, ``traces.py``."""
