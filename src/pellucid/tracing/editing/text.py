"""The text of an edit list: the same in addresses, on the command line, in exports and in provenance.

    encoder.5.self_attention.head.3=zero           a head off: its context is the zero vector
    decoder.2.cross_attention.head.1=mean          the mean of its contexts in this sentence
    decoder.2.cross_attention.head.1=mean:4f1c...  the mean over a sample, named by its SHA-256; ``mean:sample``
                                                   means the only known sample
    decoder.2.cross_attention.head.1=from:"..."    its contexts for another source sentence
    decoder.2.cross_attention.head.1.row.4=zero    the same at one row, with any of these values
    decoder.2.cross_attention.head.1.row.4=0,1,0   other attention weights in this row
    decoder.2.feed_forward=zero                    a sub-layer, with any of these values
    encoder.0.feed_forward.unit.17,40=zero         units of a feed-forward network, with any of these values
    decoder.cross_attention.value.3=zero           a source position silent for the decoder
    positions=half_split_t2t                       other positions on both sides; ``positions=zero`` adds none
    step.4="▁elle"                                 the piece at a step; what follows is translated again
    ban="▁il"                                      a piece that the translation never has
    word.3="wide", word.3=drop                     another source word, or none

Edits of a list are separated by semicolons. Texts in quotes are JSON strings. Without quotes, ``step.4=elle`` is the
word, which begins with a space: the piece "▁elle". A text in quotes that is no piece is written with several, exactly:
``step.4="elles"`` continues the word before it. Read ``recorder.py`` next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from pellucid.config import PositionLayout
from pellucid.errors import RequestError
from pellucid.text.vocabulary import WORD_BOUNDARY
from pellucid.tracing.editing.choices import BanPiece, ChangeWord, Choice, ForcePiece
from pellucid.tracing.editing.refusal import EditError, refusals_of
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.edits import (
    AblateHead,
    AblateSublayer,
    AblateUnits,
    AblationMode,
    Mode,
    OtherPositions,
    OtherSentence,
    SetAttention,
    ValueEdit,
    ZeroValue,
)
from pellucid.tracing.sites import AttentionKind

__all__ = ["Edit", "edit_list", "parse_edit", "parse_edits"]

Edit = ValueEdit | Choice

LONGEST_LIST: Final = 200
_SEPARATOR: Final = re.compile(r';(?=(?:[^"\\]|\\.|"(?:[^"\\]|\\.)*")*$)')
_HEAD: Final = re.compile(r"(encoder|decoder)\.(\d{1,6})\.(self|cross)_attention\.head\.(\d{1,6})(?:\.row\.(\d{1,6}))?")
_UNITS: Final = re.compile(r"(encoder|decoder)\.(\d{1,6})\.feed_forward\.unit\.(\d{1,6}(?:,\d{1,6})*)")
_SUBLAYER: Final = re.compile(r"(encoder|decoder)\.(\d{1,6})\.(self_attention|cross_attention|feed_forward)")
_VALUE: Final = re.compile(r"decoder\.cross_attention\.value\.(\d{1,6})")
_NUMBERED: Final = re.compile(r"(step|word)\.(\d{1,6})")
_WEIGHTS: Final = re.compile(r"[-+.0-9e]+(,[-+.0-9e]+)*")
_EXAMPLES: Final = (
    "encoder.5.self_attention.head.3=zero, decoder.2.feed_forward=mean, step.4=elle, ban=il, word.3=drop, "
    "positions=zero"
)


def parse_edits(text: str, *, samples: Sequence[Sample] = ()) -> tuple[Edit, ...]:
    """Read a list of edits separated by semicolons.

    Raises:
        RequestError: there is none, a part is not an edit, or the list is too long.
    """
    parts = [part.strip() for part in _SEPARATOR.split(text)]
    if not any(parts):
        raise RequestError(f"the text of an edit is empty; edits are {_EXAMPLES}")
    return edit_list([part for part in parts if part], samples=samples)


def edit_list(edits: Iterable[Edit | str], *, samples: Sequence[Sample] = ()) -> tuple[Edit, ...]:
    """Return edits, those that are texts read, in their order.

    Raises:
        EditError: a text is not an edit, or an edit occurs twice.
        RequestError: something else is not an edit, or the list is too long.
    """
    made: list[Edit] = []
    for number, edit in enumerate(edits):
        if not isinstance(edit, str | ValueEdit | Choice):
            raise RequestError(f"edits[{number}] is of type {type(edit).__name__}; give an edit such as {_EXAMPLES}")
        with refusals_of(edit):
            read = parse_edit(edit, samples=samples) if isinstance(edit, str) else edit
        if read in made:
            raise EditError([(edit, f"the edit {read} occurs twice; give it once")])
        made.append(read)
        if len(made) > LONGEST_LIST:
            raise RequestError(f"the list has more than {LONGEST_LIST} edits, which is the limit; give fewer")
    return tuple(made)


def parse_edit(text: str, *, samples: Sequence[Sample] = ()) -> Edit:
    """Read one edit.

    Args:
        text: as ``str(edit)`` writes it.
        samples: the samples that ``mean:...`` may name.

    Raises:
        RequestError: the text is not an edit.
    """
    place, is_change, value = text.strip().partition("=")
    if not is_change:
        raise RequestError(f"the edit {text!r} has no '='; edits are {_EXAMPLES}")
    if place == "ban":
        return BanPiece(_piece(value, text))
    if place == "positions":
        return OtherPositions(_layout(value, text))
    if found := _NUMBERED.fullmatch(place):
        if found[1] == "step":
            return ForcePiece(int(found[2]), _piece(value, text))
        return ChangeWord(int(found[2]), None if value == "drop" else _quoted(value, text))
    if found := _VALUE.fullmatch(place):
        if value != "zero":
            raise RequestError(f"the edit {text!r}: the value vectors of a source position can only be zero")
        return ZeroValue(int(found[1]))
    if found := _HEAD.fullmatch(place):
        kind = (
            AttentionKind(f"{found[1]}.{found[3]}_attention") if found[3] == "self" or found[1] == "decoder" else None
        )
        if kind is None:
            raise RequestError(f"the edit {text!r}: an encoder has no cross_attention; name decoder, or self_attention")
        row = None if found[5] is None else int(found[5])
        if row is not None and _WEIGHTS.fullmatch(value):
            return SetAttention(kind, int(found[2]), int(found[4]), row, _weights(value, text))
        return AblateHead(kind, int(found[2]), int(found[4]), _mode(value, text, samples), row)
    if found := _UNITS.fullmatch(place):
        units = tuple(int(unit) for unit in found[3].split(","))
        return AblateUnits(found[1], int(found[2]), units, _mode(value, text, samples))
    if found := _SUBLAYER.fullmatch(place):
        return AblateSublayer(found[1], int(found[2]), found[3], _mode(value, text, samples))
    raise RequestError(f"the edit {text!r}: there is no place {place!r}; edits are {_EXAMPLES}")


def _mode(value: str, text: str, samples: Sequence[Sample]) -> Mode:
    if value in set(AblationMode):
        return AblationMode(value)
    kind, _, rest = value.partition(":")
    if kind == "from":
        return OtherSentence(_quoted(rest, text))
    if kind == "mean":
        return _sample(rest, text, samples)
    raise RequestError(f'the edit {text!r}: {value!r} is unknown; allowed are zero, mean, mean:SAMPLE and from:"..."')


def _layout(value: str, text: str) -> PositionLayout | None:
    allowed = [layout.value for layout in PositionLayout if layout is not PositionLayout.LEARNED]
    if value != "zero" and value not in allowed:
        raise RequestError(f"the edit {text!r}: {value!r} is unknown; allowed are zero, {', '.join(allowed)}")
    return None if value == "zero" else PositionLayout(value)


def _sample(name: str, text: str, samples: Sequence[Sample]) -> Sample:
    known = ", ".join(sample.sha256[:12] for sample in samples) or "none"
    if name == "sample" and len(samples) == 1:
        return samples[0]
    found = [sample for sample in samples if re.fullmatch(r"[0-9a-f]{8,64}", name) and sample.sha256.startswith(name)]
    if not found:
        raise RequestError(
            f"the edit {text!r}: no sample has the SHA-256 {name!r}; known here: {known}; give the sample, or use mean"
        )
    return found[0]


def _piece(value: str, text: str) -> str:
    """Return the piece in quotes, or the piece that begins a word written without quotes."""
    begins_word = value[:1].isalnum()
    return WORD_BOUNDARY + value if begins_word else _quoted(value, text)


def _quoted(value: str, text: str) -> str:
    """Return a text in quotes, or a plain one without a quotation mark as it is."""
    if not value.startswith('"'):
        if not value or '"' in value:
            raise RequestError(f"the edit {text!r}: give the text after '=', in quotes if it has a quotation mark")
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        raise RequestError(f"the edit {text!r}: {value!r} is not a text in quotes; write it as JSON") from None
    if not isinstance(read, str) or not read:
        raise RequestError(f"the edit {text!r}: the text is empty; give one")
    return read


def _weights(value: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(weight) for weight in value.split(","))
    except ValueError:
        raise RequestError(f"the edit {text!r}: {value!r} is not a list of weights; write 0,0.25,0.75") from None
