"""Models in Marian's own .npz, read only: the options inside it, names of tensors, vocabularies, a reference.

Only what belongs to this format is here; nothing is written in it. Read ``folder.py`` first, then
``reading.py``.
"""
