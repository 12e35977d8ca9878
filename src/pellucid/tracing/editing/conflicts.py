"""Pairs of edits that cannot act together: both replace the same value, or one hides all that the other changes.

Without a refusal the later edit would win in silence, while both stand in the list as applied. Whether a piece is
forced and banned is seen in the ids, so ``plan.py`` asks for that itself; read it next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from pellucid.tracing.editing.choices import BanPiece, ChangeWord, ForcePiece
from pellucid.tracing.editing.refusal import EditError
from pellucid.tracing.edits import (
    AblateHead,
    AblateSublayer,
    AblateUnits,
    AblationMode,
    OtherPositions,
    SetAttention,
    ValueEdit,
)

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer
    from pellucid.tracing.editing.text import Edit

__all__ = ["refuse_conflicts", "refuse_conflicts_of_pieces"]

_REMEDY = "leave one of the two out"


def refuse_conflicts(edits: Sequence[Edit]) -> None:
    """Refuse the second edit of every pair that cannot act together.

    Raises:
        EditError: there is such a pair; the reason names both.
    """
    _refuse([(second, f"{second} {reason}; {_REMEDY}") for second, reason in _found(edits)])


def refuse_conflicts_of_pieces(
    forces: Sequence[tuple[ForcePiece, Sequence[int]]],
    bans: Sequence[tuple[BanPiece, Sequence[int]]],
    tokenizer: Tokenizer,
) -> None:
    """Refuse forced pieces that are banned too, or that stand where a text of several pieces was forced.

    Args:
        forces: with the ids of each, by rising step.
        bans: with the id of each.
        tokenizer: names the pieces.

    Raises:
        EditError: there is such a pair; the reason names both.
    """
    refused: list[tuple[object, str]] = []
    for force, ids in forces:
        for ban, (banned,) in bans:
            if banned in ids:
                (piece,) = tokenizer.target_pieces([banned])
                refused.append((ban, f"{ban} contradicts {force}, which needs the piece {piece!r}; {_REMEDY}"))
    for (first, ids), (second, _) in combinations(forces, 2):
        if second.step < first.step + len(ids):
            pieces = ", ".join(map(repr, tokenizer.target_pieces(ids)))
            taken = f"steps {first.step} to {first.step + len(ids) - 1} with {pieces}"
            refused.append((second, f"{second} contradicts {first}, which takes {taken}; {_REMEDY}"))
    for (one, (first_id,)), (other, (second_id,)) in combinations(bans, 2):
        if first_id == second_id:
            refused.append((other, f"{other} bans the same piece as {one}; {_REMEDY}"))
    _refuse(refused)


def _refuse(refused: Sequence[tuple[object, str]]) -> None:
    """Refuse each edit once, with the first reason."""
    if refused:
        raise EditError(list({edit: (edit, reason) for edit, reason in reversed(refused)}.values())[::-1])


def _found(edits: Sequence[Edit]) -> Iterator[tuple[Edit, str]]:
    for first, second in combinations(edits, 2):
        if same := _same_place(first, second):
            yield second, f"contradicts {first}: both {same}"
        elif isinstance(first, ValueEdit) and isinstance(second, ValueEdit):
            if _hides(second, first):
                yield second, f"replaces all that {first} changes, which would have no effect"
            elif _hides(first, second):
                yield second, f"would have no effect, because {first} replaces all that it changes"


def _same_place(first: Edit, second: Edit) -> str:
    """Return what both edits determine, or an empty text."""
    match first, second:
        case ForcePiece(step=one), ForcePiece(step=other) if one == other:
            return f"force what the translation has at step {one}"
        case ChangeWord(word=one), ChangeWord(word=other) if one == other:
            return f"change word {one}"
        case OtherPositions(), OtherPositions():
            return "replace the positions"
        case AblateHead() as one, AblateHead() as other if _head_of(one) == _head_of(other) and (
            one.row is None or other.row is None or one.row == other.row
        ):
            return "replace the context of this head"
        case SetAttention() as one, SetAttention() as other if (*_head_of(one), one.row) == (
            *_head_of(other),
            other.row,
        ):
            return "set the weights of this row"
        case AblateSublayer() as one, AblateSublayer() as other if _place_of(one) == _place_of(other):
            return "replace the output of this sub-layer"
        case AblateUnits() as one, AblateUnits() as other if _place_of(one) == _place_of(other):
            shared = sorted({*one.units} & {*other.units})
            return f"replace unit {shared[0]}" if shared else ""
    return ""


def _hides(outer: ValueEdit, inner: ValueEdit) -> bool:
    """Return whether ``outer`` replaces all that ``inner`` changes by what does not depend on it; a mean does."""
    if not isinstance(outer, AblateHead | AblateSublayer) or outer.mode is AblationMode.MEAN:
        return False
    if isinstance(outer, AblateHead):
        is_same = isinstance(inner, SetAttention) and _head_of(inner) == _head_of(outer)
        return is_same and outer.row in (None, inner.row)  # type: ignore[union-attr]
    if isinstance(inner, AblateHead | SetAttention):
        return outer.layer == inner.layer and f"{outer.stack}.{outer.name}" == inner.kind
    return isinstance(inner, AblateUnits) and _place_of(inner) == _place_of(outer)


def _head_of(edit: AblateHead | SetAttention) -> tuple[object, int, int]:
    return edit.kind, edit.layer, edit.head


def _place_of(edit: AblateSublayer | AblateUnits) -> tuple[str, int, str]:
    return edit.stack, edit.layer, edit.name if isinstance(edit, AblateSublayer) else "feed_forward"
