"""HTML and XML as a stream of tokens with their places, and the segments in it.

No tree is built, so that everything that is not translated stays byte for byte, also in files that break the rules.
Reading order: ``tokens``, ``escapes`` (entities), ``rules`` (what an element is to a translator), ``segmenting``,
``wholeness``.
"""
