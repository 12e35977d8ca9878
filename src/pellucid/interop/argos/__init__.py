"""Packages for Argos Translate: a zip of a CTranslate2 model and a sentence splitter.

Only what Argos adds to CTranslate2 is here; the model in a package is written by ``interop/ctranslate2``. Read
``package.py`` first, then ``engine.py``.
"""
