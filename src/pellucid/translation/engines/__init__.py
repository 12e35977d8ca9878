"""What computes a search: the seam between the translator, which knows text, and tensors or C, which do not.

``engine.py`` says what an engine is; ``torch_engine.py`` can do everything and is the reference; ``native/`` is one C
file; ``device/`` is for GPUs; ``ctranslate2/`` runs the exported model in a process of its own. Nothing here knows
text, files of users or the screen.
"""
