"""A plan: an edit list put to one translator and one sentence, part by part. Read ``../making.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pellucid.config import ModelConfig
from pellucid.errors import RequestError
from pellucid.tracing.editing.choices import BanPiece, ChangeWord, ForcePiece, ids_of, with_words
from pellucid.tracing.editing.conflicts import refuse_conflicts, refuse_conflicts_of_pieces
from pellucid.tracing.editing.recorder import Others, others_of
from pellucid.tracing.editing.refusal import EditError, refusals_of
from pellucid.tracing.editing.search import edited_translator
from pellucid.tracing.editing.text import Edit
from pellucid.tracing.edits import ValueEdit
from pellucid.translation.alignment.words import merge_words
from pellucid.translation.requests import Request
from pellucid.translation.translator import Translator

__all__ = ["Plan", "plan_of", "value_edits", "written_with"]


@dataclass(frozen=True)
class Plan:
    """The parts of an edit list, and the translator that they change."""

    translator: Translator
    source: str
    """The sentence, with its words changed."""
    edited_from: str | None
    """The sentence before that; None if no word is changed."""
    values: tuple[ValueEdit, ...]
    others: Others
    bans: tuple[BanPiece, ...]
    forces: tuple[ForcePiece, ...]
    """By rising step."""

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None = None) -> None:
        """Raise an EditError if edits do not fit the model or the lengths; ``target`` None is not known yet."""
        refused: list[tuple[object, str]] = []
        for edit in self.values:
            try:
                edit.refuse_misfit(config, source=source, target=target)
            except RequestError as error:
                refused.append((edit, str(error)))
        if refused:
            raise EditError(refused)

    def refuse_choices(self) -> None:
        """Raise an EditError if pieces are forced or banned although the translation is given."""
        without_effect = [
            (edit, f"{edit}: has no effect on a translation that is given; leave out the edit or the target")
            for edit in (*self.forces, *self.bans)
        ]
        if without_effect:
            raise EditError(without_effect)

    def translator_of(self, beginning: Sequence[int]) -> Translator:
        """Return the edited translator whose translations begin with these pieces."""
        banned = [index for ban in self.bans for index in _ids_of(ban, self.translator)]
        return edited_translator(
            self.translator, self.values, others=self.others, forced_ids=beginning, banned_ids=banned
        )

    def beginning(self, force: ForcePiece, ids: Sequence[int]) -> tuple[int, ...]:
        """Return the pieces up to and including a forced one; ``ids`` are those of the translation before.

        Raises:
            EditError: the translation has no such step.
        """
        if force.step >= len(ids):
            reason = f"{force}: the translation without this edit has steps 0 to {len(ids) - 1}"
            raise EditError([(force, reason)])
        return (*ids[: force.step], *_ids_of(force, self.translator))


def plan_of(edits: Sequence[Edit], translator: Translator, request: Callable[[], Request], text: str) -> Plan:
    """Return the plan of a list; ``request`` prepares the sentence, which is ``text``, before the edits.

    Raises:
        EditError: an edit names a word or piece that does not exist, or two edits contradict each other.
    """
    words = [edit for edit in edits if isinstance(edit, ChangeWord)]
    forces = sorted((edit for edit in edits if isinstance(edit, ForcePiece)), key=lambda edit: edit.step)
    bans = tuple(edit for edit in edits if isinstance(edit, BanPiece))
    refuse_conflicts(edits)
    if len(forces) + len(bans) > 1:
        refuse_conflicts_of_pieces(
            [(force, _ids_of(force, translator)) for force in forces],
            [(ban, _ids_of(ban, translator)) for ban in bans],
            translator.tokenizer,
        )
    values = value_edits(edits)
    return Plan(
        translator=translator,
        source=_changed(request(), translator, words) if words else text,
        edited_from=text if words else None,
        values=values,
        others=others_of(values, translator.model, translator.tokenizer),
        bans=bans,
        forces=tuple(forces),
    )


def value_edits(edits: Sequence[Edit]) -> tuple[ValueEdit, ...]:
    """Return the edits that change values of the pass."""
    return tuple(edit for edit in edits if isinstance(edit, ValueEdit))


def written_with(edits: Sequence[Edit], translator: Translator) -> dict[Edit, tuple[str, ...]]:
    """Return the pieces of every forced text that is no piece itself."""
    found: dict[Edit, tuple[str, ...]] = {}
    for edit in edits:
        if isinstance(edit, ForcePiece):
            pieces = tuple(translator.tokenizer.target_pieces(_ids_of(edit, translator)))
            if pieces != (edit.piece,):
                found[edit] = pieces
    return found


def _ids_of(edit: ForcePiece | BanPiece, translator: Translator) -> tuple[int, ...]:
    with refusals_of(edit):
        return ids_of(edit, translator.tokenizer)


def _changed(request: Request, translator: Translator, changes: Sequence[ChangeWord]) -> str:
    pieces = translator.tokenizer.source_pieces(request.part_ids[0])
    text = with_words(request.parts[0].text, merge_words(pieces, is_special=[False] * len(pieces)), changes)
    if not text:
        raise EditError([(changes[-1], "the edits drop every word of the sentence; keep at least one")])
    return text
