"""Parts of the model in C, for training on a processor.

They compute what ``model/`` defines and have a reference there with which tests compare them; the model works without
them, and more slowly. Read ``short_attention.py`` and ``attention.c``.
"""
