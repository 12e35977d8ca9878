"""Look inside: what a model did with one sentence, as a record that can be read, checked, edited and kept.

Read ``trace.py`` first; then sites → words → tokens → predictions → edits → recording → tracing,
rules → checks → heads, provenance → archive.
"""
