"""What of a document needs no model: segments without words, and whole segments that a translation memory has.

A segment with codes is looked up with its codes as tags, as a memory has those of its units. Read ``../translating.py``
next.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.documents.segments import has_letters
from pellucid.documents.transfer.outcomes import Transferred, Way, from_tagged
from pellucid.documents.transfer.plain import Plain, tagged
from pellucid.translation.memory.recalling import recall
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Glossary

__all__ = ["needing_no_model"]


def needing_no_model(
    plains: Sequence[Plain], memory: TranslationMemory | None, glossary: Glossary
) -> list[Transferred | None]:
    """Return each segment as it is if it has no letters, else the translation that a memory has of it, or None.

    A translation of the memory has all the codes, and does not count if it breaks a term of ``glossary``.
    """
    return [
        _remembered(plain, memory, glossary)
        if has_letters(plain.text)
        else Transferred(plain.around(plain.inner), Way.AS_IT_IS)
        for plain in plains
    ]


def _remembered(plain: Plain, memory: TranslationMemory | None, glossary: Glossary) -> Transferred | None:
    if memory is None:
        return None
    target = recall(tagged(plain), [memory], most=0, terms=glossary.within(plain.text)).target
    return None if target is None else from_tagged(plain, target, way=Way.MEMORY)
