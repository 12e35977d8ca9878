"""Text with inline codes out of documents and back in, one file a format.

Every format reads bytes and yields a ``Document``: its segments, each of text and codes, and a way to write the file
again with other text in them. What is not text stays as it is, byte for byte in text formats.
Reading order: ``segments`` (the one form of all formats), ``limits``, ``naming`` (which format a file has),
``archives`` and ``safe_xml`` (for formats in ZIP archives), ``languages`` (what a document says of its own), ``spans``
(for formats that are text), then a format in
``formats/`` or ``zipped/``.
"""
