"""Measure on this machine what no list of processors can say, before the first step of a run.

``precision.py`` times a step of the model in float32 and in bfloat16. ``sharing.py`` times a batch with all threads and
with those of one of several processes; ``trials.py`` has what both need. The user's cache folder keeps both results, so
that a machine measures each shape of model once; ``records.py`` does that for all trials. Nothing here changes a weight
or a random state.
"""
