"""Beam search for translations that differ: the beam in groups, each of which avoids the tokens of those before it.

``groups`` is all there is: who pays how much for a token, and how the n best are taken from the groups. ``../beam.py``
calls it; nothing here steps a model.
"""
