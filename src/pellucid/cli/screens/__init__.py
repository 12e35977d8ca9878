"""The live views of long work: a bar in a terminal, plain lines elsewhere.

``training`` shows a training run, ``translation`` how far a translation is. They draw with ``../console.py``, and know
nothing of the options of their verbs.
"""
