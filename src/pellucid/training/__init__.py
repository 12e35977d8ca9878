"""From a model and a token store to trained weights, through any stop.

Nothing here searches or translates: scores of translations come in as functions. Read in this order: ``loss`` and
``optimisation`` (the paper's section 5), ``averaging``, ``batches``, ``update`` (one step), ``validation``, ``budget``,
``trainer`` (the loop). What a run keeps is in ``journal``, ``probes``, ``checkpoints`` (files), ``state`` (their
content), ``archive`` (saves, continuing, going back) and ``resuming``.
"""
