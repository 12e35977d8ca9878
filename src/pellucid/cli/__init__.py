"""The command line, one verb a file; ``main`` puts them together."""
