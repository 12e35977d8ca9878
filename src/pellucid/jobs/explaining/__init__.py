"""Explain one translation from the command line: why the model writes its pieces."""
