"""Steps on packed tokens: the sentences of a batch one after the other, without padding.

Batches have a sentence of 9 tokens beside one of 12, and a static shape adds padding for both: a sixth of the positions
of a usual run are no tokens. Packed steps compute tokens only, with kernels of their own for what lies between the
matrix products. Read ``reference.py`` next.
"""
