"""From the files that a recipe names to token stores on disk, once a run.

    verify every file → clean → train the tokenizer (or take the one of ``init_from``) → write the stores

``data/prepared.json`` is written last; where it still holds, nothing is done again. ``text.json`` beside the
folder says what the run is made of. Read ``train.py`` next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.bundle import Bundle
from pellucid.config import DataConfig, Recipe
from pellucid.durable import DISK
from pellucid.errors import DataError, PellucidError
from pellucid.runtime import Runtime
from pellucid.text.capitals import with_capitals
from pellucid.text.cleaning import Cleaner, CleaningReport
from pellucid.text.corpus import CorpusFacts, SentencePair, read_pairs, verify_corpora
from pellucid.text.sentences import SentenceCount
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tags import refuse_unknown_tags, tagged, tags_of
from pellucid.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from pellucid.text.unknown import refuse_unknown
from pellucid.training.resuming import refuse_changes
from pellucid.untrusted import parse_json, read_at_most, shown

__all__ = ["PreparedData", "cleaned_pairs", "prepare"]

_LARGEST_HELD_OUT = 1000
_HELD_OUT_SHARE = 100
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
    """Of the training sources; None where an older pellucid has prepared them."""


def prepare(
    recipe: Recipe,
    folder: Path,
    *,
    runtime: Runtime,
    initial: Bundle | None = None,
    has_begun: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int], None] = lambda what, done: None,
) -> PreparedData:
    """Read, check, clean, cut into pieces and store the corpora of a recipe.

    ``has_begun`` says that training on what is in ``folder`` has begun, so that it may not be replaced.

    Raises:
        IncompatibleModelError: training has begun, and the files or settings are no longer those.
        DataError: a file is wrong, or no pair is left to train on.
        ConfigError: the tokenizer that was asked for cannot be had from this text.
    """
    facts = verify_corpora(recipe.data)
    inputs = _inputs(recipe, facts, initial)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    names = [", ".join(file.path.name for file in f.files) for f in facts]
    # Beside ``data/``, so that what a run was made of is known even where that folder was removed.
    record = folder.parent / "text.json"
    before, names_before = _read_record(record)
    if has_begun and before is not None:
        old, new = (_labelled(table, names) for table in (before, inputs))
        refuse_changes(folder.parent, old_settings={}, new_settings={}, old_data=old, new_data=new)
        if renamed := [f"{b} (was {a})" for a, b in zip(names_before, names, strict=False) if a != b]:
            say(f"the same text under other names: {', '.join(renamed)}")
    DISK.write_replacing(record, json.dumps({**inputs, "names": names}, indent=1, ensure_ascii=False).encode())
    stamp = _read_table(folder / "prepared.json")
    if stamp is not None and stamp.get("fingerprint") == key:
        try:
            share = stamp.get("share_of_several_sentences")
            found = _open(recipe, folder, key, tuple(stamp["summary"]), share)
        except (PellucidError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
            say(f"{folder}: is damaged ({str(error)[:500]}); made again")
        else:
            say(f"{folder}: prepared before from the same files and settings; used again")
            return found
    DISK.remove(folder / "prepared.json")
    folder.mkdir(parents=True, exist_ok=True)
    summary, share = _prepare_anew(recipe, folder, runtime=runtime, initial=initial, facts=facts, progress=progress)
    for line in summary:
        say(line)
    content = {"fingerprint": key, "summary": summary, "share_of_several_sentences": share}
    DISK.write_replacing(folder / "prepared.json", json.dumps(content, indent=1, ensure_ascii=False).encode())
    return _open(recipe, folder, key, summary, share)


def _open(recipe: Recipe, folder: Path, key: str, summary: tuple[str, ...], share: float | None) -> PreparedData:
    store, valid_store = (TokenStore.open(folder / name) for name in ("train", "valid"))
    tokenizer = load_tokenizer(folder / "tokenizer")
    sizes = {"source_vocab_size": tokenizer.source_vocab_size, "target_vocab_size": tokenizer.target_vocab_size}
    for opened in (store, valid_store):
        opened.verify(**sizes)
    valid = tuple(islice(_validation_text(folder), max(recipe.training.valid_bleu_sentences, 1)))
    return PreparedData(tokenizer, store, valid_store, valid, key, summary, share)


def cleaned_pairs(data: DataConfig, cleaner: Cleaner) -> Iterator[SentencePair]:
    """Yield the training pairs of all corpora that the filters keep, in order."""
    for index, corpus in enumerate(data.train):
        yield from cleaner.clean(read_pairs(corpus, index=index, invalid_utf8=data.invalid_utf8))


def _prepare_anew(
    recipe: Recipe,
    folder: Path,
    *,
    runtime: Runtime,
    initial: Bundle | None,
    facts: Sequence[CorpusFacts],
    progress: Callable[[str, int], None],
) -> tuple[tuple[str, ...], float]:
    """Write everything; return what there is to say of it, and the share of sources of several sentences."""
    data, training = recipe.data, recipe.training
    cleaner = Cleaner(data.cleaning)
    kept = sum(1 for _ in _counted(cleaned_pairs(data, cleaner), lambda n: progress("read and cleaned pairs", n)))
    report = cleaner.report()
    if not kept:
        raise DataError(f"no training pair is left; {_in_words(report)}")
    held_out = _held_out_rows(recipe, kept)

    def train_pairs() -> Iterator[SentencePair]:
        return _training_pairs(recipe, held_out)

    tokenizer, lines = _tokenizer(recipe, train_pairs, threads=runtime.threads, initial=initial)
    (folder / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(folder / "tokenizer")
    own_tags = [data.tag_of(corpus) for corpus in data.train]
    valid_tags = [data.tag_of(data.valid)] if data.valid else own_tags
    _write_validation_text(folder, tagged(_validation_pairs(data, held_out), valid_tags, tokenizer))
    sentences = SentenceCount(data.src_lang, expected=kept)
    train_text = tagged(sentences.watching(train_pairs()), own_tags, tokenizer)
    for name, pairs in (("train", train_text), ("valid", _validation_text(folder))):
        try:
            store = write_store(
                folder / name,
                pairs,
                tokenizer,
                max_length=training.max_length,
                progress=lambda n, name=name: progress(f"{name} pairs cut into pieces", n),  # type: ignore[misc]
            )
            refuse_unknown(store.unknown, most=data.max_unknown_share)
        except DataError as error:
            origin = " (held out of the training text)" if held_out and name == "valid" else ""
            raise DataError(f"{name} text{origin}: {error}") from None
        lines += _told_store(name, store, max_length=training.max_length)
    if data.capitals_share:
        copies = sum(1 for _ in train_pairs()) - (kept - len(held_out))
        lines.insert(0, f"capitals: {copies:,} pairs added once more in capitals (seeded)")
    read = [f"{f.label}: {f.pairs:,} pairs read{_mended(f)}" for f in facts]
    read += [f"note: {note}" for f in facts for note in f.notes]
    if held_out:
        lines.append(f"valid: no validation files given, so {len(held_out):,} training pairs are held out (seeded)")
    return (*read, _in_words(report), *lines, sentences.in_words()), sentences.share


def _tokenizer(
    recipe: Recipe, pairs: Callable[[], Iterator[SentencePair]], *, threads: int, initial: Bundle | None
) -> tuple[Tokenizer, list[str]]:
    """Learn the tokenizer, or take that of the model to start from; return it and what there is to say of it."""
    tags = tags_of(recipe.data)
    if initial is not None:
        refuse_unknown_tags(tags, initial.tokenizer, origin=initial.folder)
        return initial.tokenizer, [f"tokenizer: the one of {initial.folder}"]
    trained = train_tokenizer(pairs, recipe.tokenizer, seed=recipe.training.seed, threads=threads, tags=tags)
    return trained, [
        f"tokenizer: {choice.used:,} {choice.side} pieces learnt from {choice.num_sentences:,} sentences "
        f"({choice.reason})"
        for choice in trained.choices
    ]


def _told_store(name: str, store: TokenStore, *, max_length: int) -> list[str]:
    sizes = (
        f"{name}: {len(store):,} pairs, {int(store.source_lengths.sum()):,} source and "
        f"{int(store.target_lengths.sum()):,} target tokens"
    )
    left_out = f"; {store.left_out:,} longer than {max_length} tokens left out" if store.left_out else ""
    return [sizes + left_out, *(f"{name}: {side}" for side in store.unknown if side.unknown)]


def _training_pairs(recipe: Recipe, held_out: frozenset[int]) -> Iterator[SentencePair]:
    data = recipe.data
    pairs = enumerate(cleaned_pairs(data, Cleaner(data.cleaning)))
    kept = (pair for row, pair in pairs if row not in held_out)
    return with_capitals(kept, share=data.capitals_share, seed=recipe.training.seed)


def _mended(facts: CorpusFacts) -> str:
    """Say what reading left out or changed, where it did."""
    parts = [f"{count:,} skipped ({reason})" for reason, count in facts.skipped.items() if count]
    if facts.replaced:
        parts.append(f"{facts.replaced:,} lines with invalid bytes replaced")
    return "".join(f"; {part}" for part in parts)


def _counted(pairs: Iterator[SentencePair], progress: Callable[[int], None]) -> Iterator[SentencePair]:
    for number, pair in enumerate(pairs, start=1):
        if number % 5000 == 0:
            progress(number)
        yield pair


def _held_out_rows(recipe: Recipe, kept: int) -> frozenset[int]:
    if recipe.data.valid is not None:
        return frozenset()
    count = min(_LARGEST_HELD_OUT, max(1, kept // _HELD_OUT_SHARE))
    if kept < 2:
        raise DataError("one training pair and no validation text: give --valid-src and --valid-tgt, or more text")
    chosen = np.random.default_rng([recipe.training.seed, 0x5EED]).choice(kept, size=count, replace=False)
    return frozenset(int(row) for row in chosen)


def _validation_pairs(data: DataConfig, held_out: frozenset[int]) -> Iterator[SentencePair]:
    if data.valid is not None:
        yield from read_pairs(data.valid, index=0, invalid_utf8=data.invalid_utf8)
        return
    for row, pair in enumerate(cleaned_pairs(data, Cleaner(data.cleaning))):
        if row in held_out:
            yield pair


def _write_validation_text(folder: Path, pairs: Iterator[SentencePair]) -> None:
    rows = (json.dumps(asdict(pair), ensure_ascii=False).encode() + b"\n" for pair in pairs)
    DISK.write_replacing(folder / "valid.jsonl", rows)


def _validation_text(folder: Path) -> Iterator[SentencePair]:
    with (folder / "valid.jsonl").open("rb") as file:
        for row in file:
            pair = SentencePair(**json.loads(row))
            if not isinstance(pair.source, str) or not isinstance(pair.target, str):
                raise ValueError(f"valid.jsonl holds {shown(pair)}, which is no sentence pair")
            yield pair


def _in_words(report: CleaningReport) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items() if count)
    return f"cleaning: {report.read:,} pairs read, {report.kept:,} kept" + (f"; dropped: {reasons}" if reasons else "")


def _read_table(path: Path) -> dict[str, Any] | None:
    try:
        table = parse_json(read_at_most(path, _LARGEST_RECORD_BYTES), most_values=_MOST_VALUES)
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def _read_record(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what a run was made of, and the names that its text had, which decide nothing."""
    table = _read_table(path)
    if table is None:
        return None, []
    names, text = table.pop("names", None), table.get("text")
    if not isinstance(text, dict):
        return None, []
    if names is None:  # an older record: "0 (train)"
        table["text"] = {key.partition(" ")[0]: facts for key, facts in text.items()}
    return table, names if isinstance(names, list) else []


def _labelled(table: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the table with today's names beside the numbers of the corpora, for the words of a refusal."""
    labels = {str(number): f"{number} ({name})" for number, name in enumerate(names)}
    return {**table, "text": {labels.get(number, number): facts for number, facts in table["text"].items()}}


def _columns(recipe: Recipe) -> dict[str, list[int | str]] | None:
    """Return which columns or keys are read, where they are not the usual ones: the bytes do not tell that."""
    corpora = recipe.data.corpora()
    usual: dict[bool, list[int | str]] = {True: [0, 1], False: ["source", "target"]}
    found: dict[str, list[int | str]] = {}
    for number, corpus in enumerate(corpora):
        if corpus.tsv is None and corpus.jsonl is None:
            continue
        is_tsv = corpus.tsv is not None
        read = [corpus.src_column, corpus.tgt_column] if is_tsv else [corpus.src_key, corpus.tgt_key]
        if read != usual[is_tsv]:
            found[str(number)] = list(read)
    return found or None


def _deciding(data: DataConfig) -> dict[str, object]:
    """Return the settings that decide the stores; one that older releases lack is left out where it does not act."""
    unused = set() if data.capitals_share else {"capitals_share"}
    return data.model_dump(mode="json", exclude={"train", "valid", "tag", "max_unknown_share", *unused})


def _inputs(recipe: Recipe, facts: Sequence[CorpusFacts], initial: Bundle | None) -> dict[str, object]:
    """Return all that decides the stores: the content of the files and the settings that act on it, no names."""
    return {
        "text": {str(number): {"pairs": f.pairs, "sha256": f.sha256} for number, f in enumerate(facts)},
        "columns": _columns(recipe),
        "data": _deciding(recipe.data),
        **({"tags": tags} if any(tags := [recipe.data.tag_of(corpus) for corpus in recipe.data.corpora()]) else {}),
        "weights": [c.weight for c in recipe.data.train],
        "has_valid": recipe.data.valid is not None,
        "tokenizer": recipe.tokenizer.model_dump(mode="json"),
        "init_from": None if initial is None else dict(sorted(initial.description.files.items())),
        "training": {"max_length": recipe.training.max_length, "seed": recipe.training.seed},
    }
