"""Pictures of a trace outside the page: figures for papers, and heat maps for terminals.

A picture shows numbers from ``tracing`` and ``analysis``; nothing here computes new ones. Importing
``plots.py`` does not import matplotlib, which is an optional dependency. Read ``plots.py`` first, then ``terminal.py``.
"""
