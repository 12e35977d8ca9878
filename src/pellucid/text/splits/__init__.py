"""Which pairs train, validate and test, where the recipe leaves it to pellucid and nothing may leak between the parts.

``sources`` says when two sources are the same; ``leakless`` chooses. The choice is a function of the text and the seed;
what is written to disk is decided in ``jobs/``.
"""
