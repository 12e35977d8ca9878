"""Beam search for translations that differ: the beam in groups, each of which avoids the tokens of those before it.

``groups`` is all there is; ``../beam.py`` calls it.
"""
