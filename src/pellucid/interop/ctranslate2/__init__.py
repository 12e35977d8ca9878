"""Models exported to CTranslate2, with quantisation, and compared with what CTranslate2 itself computes.

Only what belongs to this format is here; packages for Argos build on it. Read ``config.py`` first, then
``writing.py`` and ``engine.py``.
"""
