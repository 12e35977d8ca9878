"""Pictures of a trace outside the page: figures for papers, and heat maps for terminals.

A picture shows numbers that ``tracing`` and ``analysis`` give; nothing here computes new ones. Importing
``plots.py`` does not import matplotlib, which is an extra. Read ``plots.py`` first, then ``terminal.py``.
"""
