"""Turn the files that a recipe names into token stores on disk, once for each run.

    verify every file → clean → train the tokenizer (or take the one of ``init_from``) → write the stores

``data/prepared.json`` is written last; while it matches the recipe, a later start reuses the stores, and reads neither
text nor stores again while their files are those of that time (``preparation/states.py``). A text that changed is read
and cleaned again, and only its new pairs are cut into pieces (``preparation/earlier.py``). ``text.json`` beside that
folder records which text and settings the run was made from. Read ``train.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pellucid.bundle import Bundle
from pellucid.config import DataConfig, Recipe
from pellucid.durable import DISK
from pellucid.errors import DataError, PellucidError, counted
from pellucid.jobs.fine_tuning.general import OverlapCount
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.preparation.copies import CopyCount
from pellucid.jobs.preparation.earlier import earlier_store, stores_of
from pellucid.jobs.preparation.pace import Pace, processes_for
from pellucid.jobs.preparation.states import TextState, recognised, states_of, table_of
from pellucid.text.corpus import CorpusFacts, SentencePair, verify_corpora
from pellucid.text.mixing import describe_mixture
from pellucid.text.selection import Selection, deciding_settings, describe_cleaning, select_pairs
from pellucid.text.sentences import SentenceCount
from pellucid.text.splits.leakless import Role
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tags import refuse_unknown_tags, tagged, tags_of
from pellucid.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from pellucid.text.unknown import refuse_unknown
from pellucid.training.checkpoints import list_checkpoints
from pellucid.training.resuming import refuse_changes
from pellucid.untrusted import parse_json, read_at_most, shown

__all__ = ["TEST_TEXT", "PreparedData", "prepare"]

TEST_TEXT: Final = "test.jsonl"
"""In ``data/``: the test pairs, if there are any."""
_STAMP: Final = "prepared.json"
_STORES: Final = ("train", "valid")
_LARGEST_RECORD_BYTES = 16 << 20
_MOST_VALUES = 1 << 20


@dataclass(frozen=True)
class PreparedData:
    """Everything that training reads."""

    tokenizer: Tokenizer
    store: TokenStore
    valid_store: TokenStore
    valid_pairs: tuple[SentencePair, ...]
    """The first validation pairs as text, for scores and samples."""
    fingerprint: str
    summary: tuple[str, ...]
    """What was read, kept and dropped, in lines for the screen and the card."""
    share_of_several_sentences: float | None
    """Share of the training sources with several sentences; None in data that an older pellucid prepared."""


def prepare(
    run: OpenedRun,
    *,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int], None] = lambda what, done: None,
) -> PreparedData:
    """Read, check, clean, cut into pieces and store the corpora of a run.

    Raises:
        IncompatibleModelError: training has begun, and the files or settings have changed since.
        DataError: a file is wrong, or no pair is left to train on.
        ConfigError: the text is too small for the vocabulary size of the recipe.
    """
    recipe, folder, began = run.recipe, run.output / "data", time.time_ns()
    stamp = _read_table(folder / _STAMP)
    before = recognised(recipe.data, stamp.get("corpora")) if stamp else None
    facts = None if before else verify_corpora(recipe.data)
    texts = before or tuple(map(TextState.of, facts or ()))
    inputs = _inputs(recipe, texts, run.initial)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    _keep_record(run, inputs, texts, say=say)
    if stamp is not None and stamp.get("fingerprint") == key:
        try:
            found = _open(run, folder, stamp)
        except (PellucidError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
            say(f"{folder}: is damaged ({str(error)[:500]}); preparing the text again")
        else:
            if before is None:
                _write_stamp(folder, recipe.data, texts, stamp, began=began)
            say(f"{folder}: prepared before from the same files and settings; used again")
            return found
    DISK.remove(folder / _STAMP)
    folder.mkdir(parents=True, exist_ok=True)
    pace = Pace(processes_for(texts[: len(recipe.data.train)], threads=run.runtime.threads))
    summary, share = _prepare_anew(
        run, folder, facts=facts or verify_corpora(recipe.data), pace=pace, say=say, progress=progress
    )
    for line in (*summary, pace.to_text()):
        say(line)
    stamp = {"fingerprint": key, "summary": summary, "share_of_several_sentences": share}
    found = _open(run, folder, stamp)
    _write_stamp(folder, recipe.data, texts, stamp, began=began)
    return found


def _keep_record(
    run: OpenedRun, inputs: dict[str, object], texts: Sequence[TextState], *, say: Callable[[str], None]
) -> None:
    """Refuse another text or other settings once training has begun; record those of this run."""
    names = [", ".join(text.names) for text in texts]
    # Beside ``data/``, so that it still refuses a changed text when somebody has removed that folder.
    record = run.output / "text.json"
    before, names_before = _read_record(record)
    if before is not None and list_checkpoints(run.output / "checkpoints"):
        old, new = (_labelled(table, run.recipe.data, names) for table in (before, inputs))
        refuse_changes(run.output, old_settings={}, new_settings={}, old_data=old, new_data=new)
        if renamed := [f"{b} (was {a})" for a, b in zip(names_before, names, strict=False) if a != b]:
            say(f"the same text under other names: {', '.join(renamed)}")
    DISK.write_replacing(record, json.dumps({**inputs, "names": names}, indent=1, ensure_ascii=False).encode())


def _write_stamp(
    folder: Path, data: DataConfig, texts: Sequence[TextState], stamp: Mapping[str, Any], *, began: int
) -> None:
    """Write what makes a later start reuse the stores, and what lets it recognise the files without reading them."""
    content = {
        **stamp,
        "corpora": table_of(data, texts, read_from_ns=began),
        "stores": states_of(_store_files(folder)),
    }
    if content != stamp:
        DISK.write_replacing(folder / _STAMP, json.dumps(content, indent=1, ensure_ascii=False).encode())


def _store_files(folder: Path) -> list[Path]:
    return sorted(path for name in _STORES for path in (folder / name).iterdir())


def _open(run: OpenedRun, folder: Path, stamp: Mapping[str, Any]) -> PreparedData:
    """Open the stores; check their contents, too, unless they are the files that were checked before."""
    store, valid_store = (TokenStore.open(folder / name) for name in _STORES)
    tokenizer = load_tokenizer(folder / "tokenizer").with_default_tag(_default_tag(run.initial))
    sizes = {"source_vocab_size": tokenizer.source_vocab_size, "target_vocab_size": tokenizer.target_vocab_size}
    if stamp.get("stores") != states_of(_store_files(folder)):
        for opened in (store, valid_store):
            opened.verify(**sizes)
    valid = tuple(islice(_validation_text(folder), max(run.recipe.training.valid_bleu_sentences, 1)))
    share = stamp.get("share_of_several_sentences")
    return PreparedData(tokenizer, store, valid_store, valid, stamp["fingerprint"], tuple(stamp["summary"]), share)


def _prepare_anew(
    run: OpenedRun,
    folder: Path,
    *,
    facts: Sequence[CorpusFacts],
    pace: Pace,
    say: Callable[[str], None],
    progress: Callable[[str, int], None],
) -> tuple[tuple[str, ...], float]:
    """Write everything; return the summary and the share of sources with several sentences."""
    data, training = run.recipe.data, run.recipe.training
    counted_pairs = partial(progress, "read and cleaned pairs")
    selection = select_pairs(data, seed=training.seed, progress=counted_pairs, folder=folder)
    kept, held_out = selection.report.kept, 0 if data.valid else selection.count(Role.VALIDATION)
    with pace.learning():
        tokenizer, lines = _tokenizer(run, selection.training_pairs)
    (folder / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(folder / "tokenizer")
    own_tags = [data.tag_of(corpus) for corpus in data.train]
    valid_tags = [data.tag_of(corpus) for corpus in data.valid] or own_tags
    _write_text(folder / "valid.jsonl", tagged(selection.validation_pairs(), valid_tags, tokenizer))
    if data.test is not None or selection.count(Role.TEST):
        test_tags = [data.tag_of(data.test)] if data.test else own_tags
        _write_text(folder / TEST_TEXT, tagged(selection.test_pairs(), test_tags, tokenizer))
    _write_report(run.output / "text_report.json", facts, selection)
    sentences, overlap, copies = SentenceCount(data.src_lang, expected=kept), OverlapCount(data), CopyCount()
    train_text = copies.watching(overlap.watching(sentences.watching(selection.training_pairs())))
    train_text = tagged(train_text, own_tags, tokenizer)
    earlier = earlier_store(stores_of(folder, run.initial), tokenizer, say=say)
    for name, pairs in (("train", train_text), ("valid", _validation_text(folder))):
        try:
            store = write_store(
                folder / name,
                pairs,
                tokenizer,
                max_length=training.max_length,
                processes=pace.processes if name == "train" else 1,
                earlier=earlier.rows if earlier and name == "train" else None,
                progress=partial(progress, f"{name} pairs cut into pieces"),
            )
            refuse_unknown(store.unknown, most=data.max_unknown_share)
        except DataError as error:
            origin = " (held out of the training text)" if held_out and name == "valid" else ""
            raise DataError(f"{name} text{origin}: {error}") from None
        lines += _describe_store(name, store, max_length=training.max_length)
        if name == "train" and len(data.train) > 1:
            lines.append(describe_mixture(data, store.pairs_of_corpora(len(data.train))))
    if earlier:
        say(earlier.to_text())
    if data.capitals_share:
        added = sum(1 for _ in selection.training_pairs()) - selection.count(Role.TRAINING)
        lines.insert(0, f"capitals: {counted(added, 'pair')} added once more in capitals (seeded)")
    lines += [*_describe_validation(selection, held_out), *overlap.lines(), *copies.lines()]
    pace.end(selection.report.read)
    lines = [*_describe_reading(facts), describe_cleaning(selection.report), *lines, sentences.in_words()]
    return tuple(lines), sentences.share


def _default_tag(initial: Bundle | None) -> str:
    return "" if initial is None else initial.tokenizer.default_tag


def _tokenizer(run: OpenedRun, pairs: Callable[[], Iterator[SentencePair]]) -> tuple[Tokenizer, list[str]]:
    """Train the tokenizer, or take that of the initial model; return it with its lines for the summary."""
    recipe, tags = run.recipe, tags_of(run.recipe.data)
    if run.initial is not None:
        refuse_unknown_tags(tags, run.initial.tokenizer, origin=run.initial.folder)
        return run.initial.tokenizer, [f"tokenizer: the one of {run.initial.folder}"]
    seed, threads = recipe.training.seed, run.runtime.threads
    trained = train_tokenizer(pairs, recipe.tokenizer, seed=seed, threads=threads, tags=tags)
    return trained, [
        f"tokenizer: {counted(choice.used, choice.side + ' piece')} learnt from "
        f"{counted(choice.num_sentences, 'sentence')} ({choice.reason})"
        for choice in trained.choices
    ]


def _describe_store(name: str, store: TokenStore, *, max_length: int) -> list[str]:
    sizes = (
        f"{name}: {counted(len(store), 'pair')}, {int(store.source_lengths.sum()):,} source and "
        f"{counted(int(store.target_lengths.sum()), 'target token')}"
    )
    left_out = f"; {store.left_out:,} longer than {max_length} tokens left out" if store.left_out else ""
    return [sizes + left_out, *(f"{name}: {side}" for side in store.unknown if side.unknown)]


def _describe_validation(selection: Selection, held_out: int) -> list[str]:
    """Return where the validation text comes from, if not from files of its own."""
    if selection.split is not None:
        return [selection.split.to_text()]
    if not held_out:
        return []
    return [f"valid: no validation files given; {counted(held_out, 'training pair')} held out (seeded)"]


def _describe_reading(facts: Sequence[CorpusFacts]) -> list[str]:
    read = [f"{f.label}: {counted(f.pairs, 'pair')} read{_describe_changes(f)}" for f in facts]
    return read + [f"note: {note}" for f in facts for note in f.notes]


def _describe_changes(facts: CorpusFacts) -> str:
    """Return the counts of lines that reading skipped or changed, if any."""
    skipped = {} if facts.reports else facts.skipped  # the notes have those of ``files``
    parts = [f"{count:,} skipped ({reason})" for reason, count in skipped.items() if count]
    if facts.replaced:
        parts.append(f"{counted(facts.replaced, 'line')} with invalid bytes replaced")
    return "".join(f"; {part}" for part in parts)


def _write_text(path: Path, pairs: Iterator[SentencePair]) -> None:
    fields = ("source", "target", "line", "corpus")  # the document is nobody's business
    rows = ({name: getattr(pair, name) for name in fields} for pair in pairs)
    DISK.write_replacing(path, (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))


def _write_report(path: Path, facts: Sequence[CorpusFacts], selection: Selection) -> None:
    """Write what became of every unit of ``files``, of every pair in the cleaning, and the sizes of the parts."""
    if not any(f.reports for f in facts):
        return
    parts = {role.name.lower(): selection.count(role) for role in Role if role is not Role.DROPPED}
    table = {
        "corpora": [{"name": f.label, "pairs": f.pairs, "files": [asdict(one) for one in f.reports]} for f in facts],
        "cleaning": asdict(selection.report),
        "split": parts,
    }
    DISK.write_replacing(path, json.dumps(table, indent=1, ensure_ascii=False).encode())


def _validation_text(folder: Path) -> Iterator[SentencePair]:
    with (folder / "valid.jsonl").open("rb") as file:
        for row in file:
            pair = SentencePair(**json.loads(row))
            if not isinstance(pair.source, str) or not isinstance(pair.target, str):
                raise ValueError(f"valid.jsonl contains {shown(pair)}, which is not a sentence pair")
            yield pair


def _read_table(path: Path) -> dict[str, Any] | None:
    try:
        table = parse_json(read_at_most(path, _LARGEST_RECORD_BYTES), most_values=_MOST_VALUES)
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def _read_record(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return which text and settings a run was made from, and the names of its files, which decide nothing."""
    table = _read_table(path)
    if table is None:
        return None, []
    names, text = table.pop("names", None), table.get("text")
    if not isinstance(text, dict):
        return None, []
    if names is None:  # an older record: "0 (train)"
        table["text"] = {key.partition(" ")[0]: facts for key, facts in text.items()}
    return table, names if isinstance(names, list) else []


def _labelled(table: Mapping[str, Any], data: DataConfig, names: Sequence[str]) -> dict[str, Any]:
    """Return the table with what the corpora are now beside their numbers, for the message of a refusal."""
    labels = {
        str(number): f"{number} ({role}: {name})"
        for number, (role, name) in enumerate(zip(data.roles(), names, strict=True))
    }
    return {**table, "text": {labels.get(number, number): facts for number, facts in table["text"].items()}}


def _inputs(recipe: Recipe, texts: Sequence[TextState], initial: Bundle | None) -> dict[str, object]:
    """Return everything that decides the stores: the content of the files and the settings, but no file names."""
    return {
        "text": {str(number): {"pairs": text.pairs, "sha256": text.sha256} for number, text in enumerate(texts)},
        **deciding_settings(recipe.data),
        "tokenizer": recipe.tokenizer.model_dump(mode="json"),
        "init_from": None if initial is None else dict(sorted(initial.description.files.items())),
        **({"default_tag": tag} if (tag := _default_tag(initial)) else {}),
        "training": {"max_length": recipe.training.max_length, "seed": recipe.training.seed},
    }
