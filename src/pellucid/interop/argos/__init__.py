"""Packages for Argos Translate: a CTranslate2 model with a sentence splitter, zipped, and run as Argos runs it.

Only what Argos adds to CTranslate2 is here; the model in a package is written by ``interop/ctranslate2``. Read
``package.py`` first, then ``engine.py``.
"""
