"""Translation on engines that run many machines.

    ray.py   Ray starts processes that work together on a file, or translates a column of a dataset

Where a launcher only starts processes, nothing here is needed: ``bulk/together.py`` is what Slurm, Kubernetes and a
loop over ssh run.
"""
