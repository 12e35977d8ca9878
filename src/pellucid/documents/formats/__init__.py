"""The formats of documents, one file each.

Each module has ``read(data, reading)``, which returns a ``Document``; ``../naming.py`` lists them. A format knows
nothing about translation, and nothing about other formats unless it contains them.
"""
