"""Documents that are XML in a ZIP archive: Word, PowerPoint, Excel, OpenDocument and EPUB.

Every paragraph becomes a tree of text, codes and pairs, the tree becomes segments, and a changed paragraph is written
again from its codes. A paragraph, and a member of the archive, in which nothing changed stays as it is. Reading order:
``inline`` (the tree), ``stretches`` (from the tree to segments), ``package`` (members and paragraphs), ``runs`` (the
formatted runs of Microsoft Office), ``opc`` (its parts), then a format.
"""
