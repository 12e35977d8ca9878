"""The page and its answers over HTTP: routes, access, stored traces, the queue for the model.

The contents of answers belong to ``page``; here is only their transport. Read ``app.py`` first; then ``gate.py``,
``traces.py``.
"""
