"""The page and its answers over HTTP: routes, who may ask, which traces are kept, the queue for the model.

What an answer says is decided in ``page``; here is only how it travels. Read ``app.py`` first; then ``gate.py``,
``traces.py``.
"""
