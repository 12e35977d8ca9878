"""CTranslate2 as an engine: a child process runs it, with the settings that a trial on this machine chose.

``worker.py`` is the child, ``trial.py`` chooses its settings, ``engine.py`` is what the translator sees. Writing the
exported model is the task of ``jobs/``; nothing here imports torch or ``interop/``.
"""
