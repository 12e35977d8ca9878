"""The opened models of a page: each has an id for addresses, a translator and, if known, its run folder.

The id of a snapshot is the id of its model, @ and its step. Read ``answers.py`` next.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from pellucid.bundle import Bundle, load_snapshot
from pellucid.errors import BundleError, PellucidError, RequestError
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.provenance import weights_sha256
from pellucid.translation.translator import Translator
from pellucid.untrusted import parse_json, read_at_most

__all__ = [
    "WALKTHROUGH_EXAMPLES",
    "Catalogue",
    "OpenedModel",
    "Place",
    "UnknownPathError",
    "open_model",
    "probe_pairs",
    "source_text",
    "steps_in",
]

WALKTHROUGH_EXAMPLES: Final = (
    "The animal didn't cross the street because it was too tired.",
    "The animal didn't cross the street because it was too wide.",
    "I am a student.",
    "What is your name?",
    "We are going home tomorrow.",
)
"""The sentences of the walkthrough (in the first two only the last word decides what "it" means), and everyday ones."""

_MOST_EXAMPLES: Final = 4
_SNAPSHOTS_IN_MEMORY: Final = 3
_LARGEST_INDEX_BYTES: Final = 4 << 20
_LARGEST_WORDS_BYTES: Final = 16 << 20
_LARGEST_FIGURES_BYTES: Final = 1 << 20


class UnknownPathError(RequestError):
    """A path does not exist: its model, trace, step or name is unknown."""


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A translator with a name and, if it belongs to a run, the run folder."""

    id: str
    name: str
    translator: Translator
    run_folder: Path | None = None
    """The folder with ``metrics.jsonl``, ``probes/`` and ``snapshots/``."""
    step: int | None = None
    examples: tuple[str, ...] = ()
    is_walkthrough: bool = False
    is_snapshot: bool = False

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the model by name; cached, because walking the modules takes longer than one answer."""
        return dict(self.translator.model.named_parameters())

    @cached_property
    def training_words(self) -> frozenset[str] | None:
        """The source words of the training data, from ``words.txt`` of the run; None if it has no such file."""
        path = self.run_folder / "words.txt" if self.run_folder else None
        if path is None or not path.is_file():
            return None
        try:
            return frozenset(read_at_most(path, _LARGEST_WORDS_BYTES).decode("utf-8").split())
        except (OSError, ValueError) as error:
            raise RequestError(f"{path}: cannot be read: {str(error)[:200]}") from None

    @cached_property
    def measured(self) -> Mapping[str, object] | None:
        """What the methods of attribution were worth on this very model, from ``measured.json``; None if unknown."""
        path = self.run_folder / "measured.json" if self.run_folder else None
        if path is None or not path.is_file():
            return None
        try:
            table: Any = parse_json(read_at_most(path, _LARGEST_FIGURES_BYTES))
            why, weights = table.get("why"), table.get("weights_sha256")
        except (OSError, ValueError, AttributeError) as error:
            raise RequestError(f"{path}: cannot be read: {str(error)[:200]}") from None
        # A snapshot, or another model in the place of the one that was measured, has other numbers.
        return why if weights == weights_sha256(self.translator.model) else None

    @cached_property
    def story(self) -> dict[str, Any] | None:
        """The figures of the walkthrough model that the tour tells, from ``measured.json``; None of other models."""
        if not self.is_walkthrough or self.is_snapshot or self.run_folder is None:
            return None
        path = self.run_folder / "measured.json"
        try:
            table: Any = parse_json(read_at_most(path, _LARGEST_FIGURES_BYTES))
            return dict(table["story"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{path}: cannot be read: {str(error)[:200]}") from None

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        """The steps with snapshots, rising."""
        return steps_in(self.run_folder, "snapshots", ".safetensors")

    @property
    def probe_steps(self) -> tuple[int, ...]:
        """The steps with probes, rising."""
        return steps_in(self.run_folder, "probes", ".npz")

    @property
    def has_training(self) -> bool:
        """Whether the run folder has anything about the training."""
        return self.run_folder is not None and (
            (self.run_folder / "metrics.jsonl").is_file() or bool(self.probe_steps or self.snapshot_steps)
        )


def steps_in(run_folder: Path | None, folder: str, suffix: str) -> tuple[int, ...]:
    """Return the steps of the files ``step-00000100<suffix>`` in a folder of a run, rising."""
    if run_folder is None:
        return ()
    found = [re.fullmatch(r"step-(\d+)", path.name.removesuffix(suffix)) for path in (run_folder / folder).glob("*")]
    return tuple(
        sorted(int(match[1]) for match in found if match and _is_plain(run_folder / folder, match[0] + suffix))
    )


def open_model(
    translator: Translator, path: Path | None = None, *, name: str = "", is_walkthrough: bool = False
) -> OpenedModel:
    """Name a translator, and find its run folder: ``path`` itself, or the folder around ``model/``."""
    origin = translator.origin
    folder = path or (origin.folder if origin else None)
    run = _run_of(folder) if folder else None
    name = name or (_name_of(folder) if folder else "model")
    step = origin.description.facts.get("step") if origin else None
    examples = WALKTHROUGH_EXAMPLES if is_walkthrough else _examples(run, translator)
    return OpenedModel(
        id=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model",
        name=name,
        translator=translator,
        run_folder=run,
        step=step if isinstance(step, int) else None,
        examples=examples,
        is_walkthrough=is_walkthrough,
    )


@dataclass(frozen=True)
class Place:
    """Where a model was read, and where another one may take its place."""

    stamp: Callable[[], object]
    """Differs after that; None: it cannot be seen now."""
    open: Callable[[], OpenedModel]


class Catalogue:
    """The models of a page, and their snapshots, which are opened on request.

    A few snapshots stay in memory; others are read again. Safe for several threads.

    Args:
        models: at least one; equal ids get numbers.
        make_translator: makes the translator of a snapshot from a model folder in memory.
        places: of the first models, where another model may take their place.
    """

    def __init__(
        self,
        models: Sequence[OpenedModel],
        *,
        make_translator: Callable[[Bundle], Translator],
        places: Sequence[Place] = (),
    ) -> None:
        self.models: tuple[OpenedModel, ...] = tuple(_with_different_ids(models))
        self._places = places
        self._stamps = [place.stamp() for place in places]
        self._make_translator = make_translator
        self._snapshots: OrderedDict[str, OpenedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model_id: str) -> OpenedModel:
        """Return a model, or the snapshot ``<id>@<step>`` of one.

        Raises:
            UnknownPathError: there is no such model or snapshot.
            BundleError: the snapshot is damaged.
        """
        base, at, step = model_id.partition("@")
        model = next((model for model in self.models if model.id == base), None)
        if model is None:
            known = ", ".join(model.id for model in self.models)
            raise UnknownPathError(f"there is no model {base!r}; there are {known}")
        if not at:
            return model
        # An id has one spelling: the page waits for the id that it requested, and "@010" would never match.
        if step not in map(str, model.snapshot_steps):
            known = ", ".join(map(str, model.snapshot_steps)) or "none"
            raise UnknownPathError(f"{base!r} has no snapshot of step {step!r}; it has {known}")
        with self._lock:
            return self._snapshot(model, int(step))

    def refresh(self) -> list[str]:
        """Take models that were replaced on the disk; return a sentence for each that cannot be opened.

        A model keeps its id, so that a page that is open goes on with the new one; traces of the old one stay its own.
        """
        said = []
        for number, place in enumerate(self._places):
            stamp = place.stamp()
            if stamp is None or stamp == self._stamps[number]:
                continue
            self._stamps[number] = stamp
            old = self.models[number]
            try:
                new = replace(place.open(), id=old.id)
            except PellucidError as error:
                said.append(f"{old.name}: the page cannot show the new model, and shows the old one: {error}")
                continue
            with self._lock:
                self.models = (*self.models[:number], new, *self.models[number + 1 :])
                for name in [name for name in self._snapshots if name.startswith(f"{old.id}@")]:
                    del self._snapshots[name]
        return said

    def _snapshot(self, model: OpenedModel, step: int) -> OpenedModel:
        name = f"{model.id}@{step}"
        if name not in self._snapshots:
            origin, run = model.translator.origin, model.run_folder
            if origin is None or run is None:
                raise UnknownPathError(f"{model.id!r} was not read from a folder, so it has no snapshots")
            bundle = load_snapshot(origin, run / "snapshots" / f"step-{step:08d}.safetensors", step=step)
            translator = self._make_translator(bundle)
            self._snapshots[name] = replace(model, id=name, translator=translator, step=step, is_snapshot=True)
        self._snapshots.move_to_end(name)
        while len(self._snapshots) > _SNAPSHOTS_IN_MEMORY:
            self._snapshots.popitem(last=False)
        return self._snapshots[name]


def probe_pairs(run: Path) -> list[dict[str, list[int]]]:
    """Return the sentence pairs that a run probes.

    Raises:
        RequestError: the file is missing or damaged.
    """
    path = run / "probes" / "index.json"
    try:
        table: Any = parse_json(read_at_most(path, _LARGEST_INDEX_BYTES))
        pairs = table["pairs"]
        return [{name: [int(i) for i in pair[name]] for name in ("source_ids", "target_ids")} for pair in pairs]
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RequestError(f"{path}: is damaged: {str(error)[:200]}") from None


def source_text(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return source ids as text."""
    return tokenizer.decode_source([ids])[0]


def _with_different_ids(models: Sequence[OpenedModel]) -> list[OpenedModel]:
    named: list[OpenedModel] = []
    for model in models:
        taken = {other.id for other in named}
        own, number = model.id, 2
        while own in taken:
            own, number = f"{model.id}-{number}", number + 1
        named.append(replace(model, id=own))
    if not named:
        raise BundleError("no model; name a model folder or a run folder")
    return named


def _is_plain(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() and not path.is_symlink()


def _run_of(folder: Path) -> Path | None:
    for place in (folder, folder.parent if folder.name == "model" else folder):
        if (place / "metrics.jsonl").is_file() or (place / "probes").is_dir() or (place / "snapshots").is_dir():
            return place
    return None


def _name_of(folder: Path) -> str:
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def _examples(run: Path | None, translator: Translator) -> tuple[str, ...]:
    """Return example sentences: those of the demo, or the first probed sentences of the validation set."""
    if run is None:
        return ()
    try:
        demo: Any = parse_json(read_at_most(run / "demo.json", _LARGEST_INDEX_BYTES))
        return tuple(str(row[0]) for row in demo["walkthrough"])[:_MOST_EXAMPLES]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass  # not a run of the demo
    try:
        pairs = probe_pairs(run)
    except RequestError:
        return ()  # the page reports the error where it shows the probes
    return tuple(source_text(translator.tokenizer, pair["source_ids"]) for pair in pairs)[:_MOST_EXAMPLES]
