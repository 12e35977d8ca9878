"""Cut the training text in another way in each epoch: subword sampling (Kudo 2018) and BPE-dropout (Provilkov 2020).

Only training samples; translation, scoring and validation always cut a text in the usual way. Nothing here has state.
Reading order: ``ways`` → ``epochs``.
"""
