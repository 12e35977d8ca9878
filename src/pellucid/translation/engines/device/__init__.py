"""The engine for GPUs: every tensor has a fixed place and a fixed shape, so a step is one recorded CUDA graph.

    network.py    the model, computed for all slots at once; keys and values have fixed places
    slots.py      the state of the slots: one sentence with its beam each
    selection.py  candidates and the rules of the search, on the device, without a look at any value
    graphs.py     a step, recorded at its first use and replayed afterwards
    waiting.py    sentences that wait for a slot, encoded in batches
    reading.py    what comes back from the device, while it goes on
    lists.py      n-best lists, whose rules need the text of each hypothesis
    batching.py   sentences leave their slots when they end, and waiting ones take them
    engine.py     all of it as an engine
    trial.py      made-up sentences by this engine and by torch: do they agree, and which is faster?
    checking.py   the trial, once for a model on a kind of GPU, in a process of its own

On a processor the same code runs without graphs, and the tests compare it there with ``torch_engine.py``. Read
``engine.py`` first.
"""
