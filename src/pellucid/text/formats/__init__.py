"""Translation memories, localisation files and tables as pairs of texts, one file a format.

A reader yields what it finds in a file, one unit after the other, in bounded memory: a ``Unit`` to use, or a
``LeftOut`` with the reason. It never yields dates, users or notes. Reading order: ``units`` (the records),
``languages`` (which variant of a language), ``content`` and
``naming`` (files and formats by what they hold and by name), ``reading`` (from a corpus to pairs
and a report that adds up), ``keeping`` (a run parses each file once); then ``markup`` and ``inline`` for XML, and
``tmx``, ``xliff``, ``po``, ``tables``, ``records``, ``moses``.
"""
