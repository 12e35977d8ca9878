"""The native engine: the model and its search in one C file, compiled for the machine that it runs on.

``engine.c`` computes; ``library.py`` compiles and loads it; ``layout.py`` mirrors its records; ``preparation.py`` packs
weights into the form that it reads. No torch here: a translation starts in a fraction of the time that importing it takes.
"""
