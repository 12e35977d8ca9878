"""Train on a GPU without waiting for the host: static shapes, ids on the device, one graph for a whole step.

Read ``attention_choice`` first, then ``shapes``, ``corpus``, ``vocabulary_loss``, ``step`` (the computation of one
step), ``graphs`` and ``updater``, which the trainer calls. Everything but the graphs also runs on a processor, where
the tests compare it with ``training.update``.
"""
