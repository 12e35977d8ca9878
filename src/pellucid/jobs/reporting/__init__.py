"""Where the progress and the numbers of a run go, beside ``metrics.jsonl``.

``reporter`` defines the live view of a job, which the command line implements. ``tensorboard`` is a reporter that also
writes scalars for TensorBoard. Nothing here trains or computes.
"""
