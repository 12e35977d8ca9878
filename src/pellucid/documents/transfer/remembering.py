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
    """Return the translation that a memory has of each segment, with all its codes; without letters, itself; else None.

    A translation of the memory that breaks a term of ``glossary`` does not count. A segment with a term goes to the
    model although it has no letters.
    """
    found = [None if memory is None else _remembered(plain, memory, glossary) for plain in plains]
    return [one or _as_it_is(plain, glossary) for one, plain in zip(found, plains, strict=True)]


def _as_it_is(plain: Plain, glossary: Glossary) -> Transferred | None:
    if has_letters(plain.text) or glossary.within(plain.text):
        return None
    return Transferred(plain.around(plain.inner), Way.AS_IT_IS)


def _remembered(plain: Plain, memory: TranslationMemory, glossary: Glossary) -> Transferred | None:
    target = recall(tagged(plain), [memory], most=0, terms=glossary.within(plain.text)).target
    return None if target is None else from_tagged(plain, target, way=Way.MEMORY)
