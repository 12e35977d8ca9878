"""The native engine: the model and its search in one C file, compiled for the machine that it runs on.

``engine.c`` computes; ``library.py`` compiles and loads it; ``layout.py`` mirrors its records; ``preparation.py`` packs
the weights as it reads them; ``jobs.py`` hands it sentences. Only ``weights.py`` imports torch.
"""
