"""Models exported to CTranslate2, with quantisation, and compared with what CTranslate2 itself computes.

Only what belongs to this format is here; packages for Argos build on it. ``config.py`` says which models fit,
``writing.py`` fills every field of the files, and ``engine.py`` runs the result for the comparison.
"""
