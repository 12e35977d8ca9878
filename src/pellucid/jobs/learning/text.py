"""The text of a run that learns from corrections: what is trained on, what measures it, what must not be forgotten.

    train      the accepted corrections but those held out; and the training text of the model, where it is there
    valid      the corrections held out, a fifth of them; none of their sources is trained on
    general    text whose score must not fall: the validation text of the model's run, or files that are named

Read ``learn.py`` next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.config import CorpusConfig, DataConfig, load_recipe
from pellucid.durable import DISK
from pellucid.errors import ConfigError, DataError, PellucidError, counted
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction, State
from pellucid.text.formats.languages import answers
from pellucid.text.formats.naming import files_of
from pellucid.text.splits.sources import bare_source

__all__ = ["LEAST", "LearningText", "accepted_in", "is_few", "learning_text", "outlook"]

LEAST: Final = 10
"""Fewest different sources that can be learnt from: two of them only measure. Sources are the same if they differ in
numbers, case and punctuation only, as for every split without leaks."""
_HELD_OUT: Final = 5
"""One of so many sources."""
_OLD_SHARE: Final = 0.5
SURE: Final = 6
"""Fewest held-out sources with which a difference can be more than chance."""
_NAME: Final = "corrections"
_ALONE: Final = (
    "note: the training text of the model is not there, so the run is on corrections alone; the general text guards "
    "what the model has learnt before"
)


@dataclass(frozen=True)
class LearningText:
    """The tables of a recipe, and which corrections are where."""

    data: dict[str, object]
    trained_on: tuple[str, ...]
    """Ids."""
    held_out: tuple[str, ...]
    """Ids."""
    notes: tuple[str, ...]


def accepted_in(folder: Path, languages: tuple[str, str]) -> list[Correction]:
    """Return the accepted corrections of a language pair.

    Raises:
        DataError: the journal is missing or damaged, or has too few of them.
    """
    journal = Journal(folder)
    every = [one for one in journal.corrections() if one.state is State.ACCEPTED]
    found = [
        one
        for one in every
        if answers(languages[0], one.source_language) and answers(languages[1], one.target_language)
    ]
    sources = {bare_source(one.source) for one in found}
    if len(sources) < LEAST:
        raise DataError(
            f"{journal.path}: has {counted(len(sources), 'accepted correction')} with "
            f"different sources for {languages[0]} → "
            f"{languages[1]}, and {LEAST} are needed, because some of them only measure{_alike(found, len(sources))}; "
            "accept more with 'pellucid corrections'"
        )
    return found


def _alike(found: Sequence[Correction], sources: int) -> str:
    """Say what became of corrections whose sources count as one."""
    if len(found) == sources:
        return ""
    return f" ({len(found):,} are accepted, and sources that differ in numbers, case and punctuation only count as one)"


def learning_text(
    corrections: Sequence[Correction], *, model: Path, general: Sequence[str], folder: Path
) -> LearningText:
    """Write the corrections into a folder, in two parts, and return the text of the run.

    Raises:
        ConfigError: there is no general text.
    """
    recipe = _recipe_of(model)
    general_corpus = _general(model, general, recipe)
    held = set(sorted({bare_source(one.source) for one in corrections}, key=_drawn)[: _held_out(corrections)])
    parts = {
        name: [one for one in corrections if (bare_source(one.source) in held) is is_held]
        for name, is_held in (("train", False), ("held_out", True))
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in parts.items():
        DISK.write_replacing(folder / f"{name}.jsonl", _lines(some))
    old = _old_text(recipe, corrections[0])
    notes = () if old else (_ALONE,)
    own = {"tag": recipe.tag} if recipe is not None and recipe.tag else {}
    share = {"share": _OLD_SHARE / max(len(old), 1), "hold_out": False, "weight": 1.0}
    data: dict[str, object] = {
        "train": [
            {"jsonl": str(folder / "train.jsonl"), "name": _NAME, **own},
            *(one.model_copy(update=share).model_dump(exclude_defaults=True) for one in old),
        ],
        "valid": {"jsonl": str(folder / "held_out.jsonl"), "name": "held-out corrections", **own},
        "general": general_corpus,
    }
    return LearningText(data, _ids(parts["train"]), _ids(parts["held_out"]), notes)


def is_few(corrections: Sequence[Correction]) -> bool:
    """Return whether too few are held out for a verdict that is sure."""
    return _held_out(corrections) < SURE


def outlook(corrections: Sequence[Correction]) -> str:
    """Return what the run can and cannot show with so many corrections."""
    held = _held_out(corrections)
    sources = len({bare_source(one.source) for one in corrections})
    line = (
        f"{counted(sources, 'different source')} with a correction: {sources - held:,} to train on, {held:,} to measure"
    )
    if held >= SURE:
        return line
    return (
        f"{line}. So few can teach words and phrases that they repeat, and no grammar. They cannot show for sure that "
        f"the model is better: that takes {SURE} to measure, which is {SURE * _HELD_OUT} different sources. The run is "
        "validated often and ends when it brings nothing"
    )


def _held_out(corrections: Sequence[Correction]) -> int:
    return max(len({bare_source(one.source) for one in corrections}) // _HELD_OUT, 2)


def _drawn(source: str) -> bytes:
    """Order sources by a digest, so that a correction stays where it was when others come."""
    return hashlib.sha256(source.encode("utf-8", errors="surrogatepass")).digest()


def _lines(corrections: Iterable[Correction]) -> bytes:
    rows = ({"source": one.source, "target": one.target} for one in corrections)
    return "".join(json.dumps(row) + "\n" for row in rows).encode("ascii")


def _ids(corrections: Iterable[Correction]) -> tuple[str, ...]:
    return tuple(one.id for one in corrections)


def _general(model: Path, files: Sequence[str], recipe: DataConfig | None) -> dict[str, object]:
    if files:
        return {"files": list(files), "name": "general"}
    if recipe is not None and recipe.general is not None:  # the model has learnt like this before
        return recipe.general.model_dump(exclude_defaults=True)
    kept = model / "data" / "valid.jsonl"
    if kept.is_file():
        return {"jsonl": str(kept), "name": "general"}
    raise ConfigError(
        f"{model}: has no validation text of its training (data/valid.jsonl of a run folder), so nothing says what it "
        "must not forget; name such text with --general"
    )


def _recipe_of(model: Path) -> DataConfig | None:
    try:
        return load_recipe(model / "recipe.toml", []).data
    except PellucidError:  # a model folder
        return None


def _old_text(recipe: DataConfig | None, one: Correction) -> list[CorpusConfig]:
    """Return the training text of a run, each corpus with its tag; nothing if some of it is not there.

    Earlier corrections are not among it: all that are accepted are trained on.
    """
    try:
        old = [corpus for corpus in recipe.train if corpus.name != _NAME] if recipe is not None else []
        for corpus in old:
            files_of(corpus, (one.source_language, one.target_language))
            if not all(path.is_file() for path in corpus.paths()):
                return []
    except DataError:
        return []
    # The validation text of a run has its tags already, so they are set for each corpus, and not for all.
    return [corpus.model_copy(update={"tag": recipe.tag_of(corpus)}) for corpus in old if recipe is not None]
