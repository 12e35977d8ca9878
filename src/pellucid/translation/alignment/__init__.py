"""Which words of a source and its translation belong together.

The weights of some heads of the cross-attention say it: those that the model folder names, chosen by a measurement
(``choosing.py``). Nothing here takes part in a search. Read ``words.py`` first, then ``links.py``.
"""
