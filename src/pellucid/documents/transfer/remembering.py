"""What a translation memory says of the segments of a document: only the translation of the whole segment counts.

A segment with codes is looked up with its codes as tags, as a memory has those of its units. Read ``../translating.py``
next.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.documents.transfer.outcomes import Transferred, Way, from_tagged
from pellucid.documents.transfer.plain import Plain, tagged
from pellucid.translation.memory.recalling import recall
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Glossary

__all__ = ["remembered"]


def remembered(
    plains: Sequence[Plain], memory: TranslationMemory | None, glossary: Glossary
) -> list[Transferred | None]:
    """Return the translation that a memory has of each segment, with all its codes, or None.

    A translation that breaks a term of ``glossary`` does not count.
    """
    if memory is None:
        return [None] * len(plains)
    return [_remembered(plain, memory, glossary) for plain in plains]


def _remembered(plain: Plain, memory: TranslationMemory, glossary: Glossary) -> Transferred | None:
    target = recall(tagged(plain), [memory], most=0, terms=glossary.within(plain.text)).target
    return None if target is None else from_tagged(plain, target, way=Way.MEMORY)
