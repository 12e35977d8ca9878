"""Measure on this machine what no list of processors can say, before the first step of a run.

``precision.py`` times a step of the model in float32 and in bfloat16, and keeps the result in the cache folder of the
user, so that a machine measures each shape of model once. ``records.py`` keeps the results of all trials. Nothing here
changes a weight or a random state.
"""
