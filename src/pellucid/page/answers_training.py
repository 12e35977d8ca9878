"""Answers about the training of a model, from its run folder: ``metrics.jsonl``, ``probes/``, ``snapshots/``.

These files are untrusted: sizes are checked, and damage is reported. Read ``answers_trace.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pellucid.config import read_toml
from pellucid.errors import BundleError, ConfigError, RequestError, counted
from pellucid.npz_file import open_npz
from pellucid.page.answers import Answer, json_answer
from pellucid.page.catalogue import OpenedModel, UnknownPathError, probe_pairs, source_text
from pellucid.tracing.predictions import Array

__all__ = ["label_smoothing", "probe_answer", "training_answer"]

_NUM_TOP: Final = 10
_MOST_STEP_ROWS: Final = 1000
_LARGEST_BYTES: Final = 256 << 20
_LARGEST_PROBE_BYTES: Final = 16 << 20
"""A probe has about 150 positions with 50 pieces each, compressed or not."""
_PROBE_ARRAYS: Final = (
    "pair",
    "target_ids",
    "target_log_probability",
    "top_ids",
    "top_log_probabilities",
    "log_sum_exp",
)

Table = dict[str, Any]


def label_smoothing(opened: OpenedModel) -> float | None:
    """Return the label smoothing in the recipe of the run; None if it is not known."""
    if opened.run_folder is None:
        return None
    try:
        training = read_toml(opened.run_folder / "recipe.toml").get("training")
    except (OSError, ConfigError):
        return None
    value = training.get("label_smoothing") if isinstance(training, dict) else None
    return float(value) if isinstance(value, int | float) else None


def training_answer(opened: OpenedModel) -> Answer:
    """Answer ``training``: the rows of the journal, and the probes and snapshots of the run.

    For a long run only every n-th row of a step is sent, and ``every`` is that n. Validations and all other rows are
    complete.
    """
    run = _run(opened)
    metrics, every = _metrics(run / "metrics.jsonl")
    return json_answer(
        {
            "metrics": metrics,
            "every": every,
            "label_smoothing": label_smoothing(opened),
            "steps": opened.probe_steps,
            "snapshots": opened.snapshot_steps,
            "sentences": [_sentence(opened, pair) for pair in (probe_pairs(run) if opened.probe_steps else ())],
        }
    )


def probe_answer(opened: OpenedModel, step: str) -> Answer:
    """Answer ``probes/{step}``: for each sentence, the predictions of the model after that step."""
    if step not in map(str, opened.probe_steps):
        known = ", ".join(map(str, opened.probe_steps)) or "none"
        raise UnknownPathError(f"the run has no probe of step {step!r}; it has {known}")
    run = _run(opened)
    arrays = _probe(run / "probes" / f"step-{int(step):08d}.npz")
    tokenizer = opened.translator.tokenizer
    sentences: list[Table] = []
    for number in range(len(probe_pairs(run))):
        rows = arrays["pair"] == number
        top_ids = arrays["top_ids"][rows][:, :_NUM_TOP]
        if top_ids.size and not 0 <= top_ids.min() <= top_ids.max() < tokenizer.target_vocab_size:
            raise RequestError(f"{run}: the probe of step {step} has ids outside the vocabulary")
        sentences.append(
            {
                "target_ids": arrays["target_ids"][rows],
                "target_log_probability": arrays["target_log_probability"][rows],
                "top_ids": top_ids,
                "top_pieces": [tokenizer.target_pieces(row) for row in top_ids.tolist()],
                "top_log_probabilities": arrays["top_log_probabilities"][rows][:, :_NUM_TOP],
                "log_sum_exp": arrays["log_sum_exp"][rows],
            }
        )
    return json_answer(sentences)


def _sentence(opened: OpenedModel, pair: Table) -> Table:
    """Describe a pair; the target has the end of sentence, like the rows of the probes."""
    tokenizer = opened.translator.tokenizer
    target_ids = [*pair["target_ids"], tokenizer.specials.eos]
    return {
        "source": source_text(tokenizer, pair["source_ids"]),
        "target": tokenizer.decode_target([pair["target_ids"]])[0],
        "source_ids": pair["source_ids"],
        "source_pieces": tokenizer.source_pieces(pair["source_ids"]),
        "target_ids": target_ids,
        "target_pieces": tokenizer.target_pieces(target_ids),
    }


def _run(opened: OpenedModel) -> Path:
    if opened.run_folder is None or not opened.has_training:
        raise UnknownPathError(f"{opened.id!r} has no run folder beside it; open the run folder to see its training")
    return opened.run_folder


def _metrics(path: Path) -> tuple[list[Table], int]:
    if not path.is_file():
        return [], 1
    if path.stat().st_size > _LARGEST_BYTES:
        raise RequestError(f"{path}: {counted(path.stat().st_size, 'byte')}; the limit is {_LARGEST_BYTES:,}")
    # Read the file twice, because a long run does not fit into memory and few of its rows are sent.
    steps = sum(row.get("kind") == "step" for row in _lines(path))
    every = -(-steps // _MOST_STEP_ROWS) or 1
    kept: list[Table] = []
    seen = 0
    for row in _lines(path):
        if row.get("kind") == "step":
            seen += 1
            if (seen - 1) % every and seen != steps:
                continue
        kept.append(row)
    return kept, every


def _lines(path: Path) -> Iterator[Table]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line that a run is writing at this moment
            if isinstance(row, dict):
                yield row


def _probe(path: Path) -> dict[str, Array]:
    try:
        with open_npz(path, most_bytes=_LARGEST_PROBE_BYTES, most_ratio=_LARGEST_PROBE_BYTES) as archive:
            arrays: dict[str, Array] = {name: archive.array(name) for name in _PROBE_ARRAYS}
    except BundleError as error:
        raise RequestError(str(error)) from None
    for name, array in arrays.items():
        axes, kind = (2, "f") if name.startswith("top_log") else (2, "iu") if name == "top_ids" else (1, "iuf")
        if array.ndim != axes or array.dtype.kind not in kind or len(array) != len(arrays["pair"]):
            raise RequestError(f"{path}: is not a probe, or is damaged: {name} is {array.dtype} {list(array.shape)}")
    return arrays
