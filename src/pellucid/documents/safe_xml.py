"""Parse XML of strangers: without declared entities, without a network, within the limits of the parser.

Read ``spans.py`` next.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pellucid.documents.limits import Reading, reason_of
from pellucid.errors import DocumentError, DocumentTooLargeError, counted

if TYPE_CHECKING:
    from lxml.etree import _ElementTree

__all__ = ["parsed_xml", "refuse_declarations"]


@lru_cache(maxsize=1)
def _parser() -> Any:
    from lxml import etree

    # Comments and processing instructions stay: they are written again.
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def refuse_declarations(data: bytes, where: str) -> None:
    """Refuse XML that declares entities; the DocumentError says where."""
    # Without its NUL bytes, UTF-16 shows the word, too.
    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise DocumentError(
            f"{where}: declares entities, which are refused because they can read other files and fill the memory; "
            "remove the document type (<!DOCTYPE ... >)"
        )


def parsed_xml(data: bytes, reading: Reading, *, member: str = "") -> _ElementTree:
    """Parse XML; ``member`` is its name in an archive.

    Raises:
        DocumentError: it is not well-formed, too deep, or declares entities.
        DocumentTooLargeError: it exceeds a limit.
    """
    from lxml import etree

    where = f"{reading.name}, {member}" if member else reading.name
    if len(data) > reading.limits.xml_bytes:
        raise DocumentTooLargeError(
            f"{where}: has {counted(len(data), 'byte')} of XML, limit {reading.limits.xml_bytes:,}; divide the document"
        )
    refuse_declarations(data, where)
    try:
        tree = etree.ElementTree(etree.fromstring(data, _parser()))
    except (etree.XMLSyntaxError, ValueError) as error:
        problem = reason_of(error.msg if isinstance(error, etree.XMLSyntaxError) else error)
        raise DocumentError(f"{where}: is not well-formed XML ({problem}); save the document again") from None
    declared = tree.docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):  # in an encoding that hid the word
        refuse_declarations(b"<!ENTITY", where)
    return tree
