"""Compare two traces: of two sentences, of two models or snapshots, or before and after an edit.

``assignment.py`` has the arithmetic of matching, ``matching.py`` says which pieces, layers and heads belong together,
``record.py`` gives every signed difference, ``report.py`` the summary as lines and as JSON. Read ``matching.py`` first.
"""
