"""Train a model on a token store, and continue after any interruption.

Nothing here searches or translates: the caller passes a function that scores translations. Read in this order:
``loss`` and ``optimisation`` (the paper's section 5), ``regularisers``, ``averaging``, ``batches``, ``update`` (a step)
and then ``validation``, ``budget``, ``inputs``, ``trainer`` (the loop) and ``reporter`` around it. A
run writes its files in ``journal``, ``probes``, ``checkpoints`` (the files), ``state`` (their content), ``archive``
(saving, resuming, rolling back) and ``resuming``. ``gpu`` makes the steps on a GPU; ``processes`` divides
them among several processes; ``machine`` measures before a run.
"""
