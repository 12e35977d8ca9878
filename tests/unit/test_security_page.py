"""The limits that SECURITY.md promises are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pellucid import untrusted, weights_file
from pellucid.config.model import ModelConfig
from pellucid.interop.marian import reading as marian_npz_reading
from pellucid.interop.untrusted import zip_files as archives
from pellucid.page import answers_training
from pellucid.text import tokenizer, vocabulary
from pellucid.text.sentencepiece import child as sentencepiece_child
from pellucid.text.sentencepiece import file as sentencepiece_file
from pellucid.text.sentencepiece import foreign as foreign_segmenter
from pellucid.tracing import file as archive

ROOT = Path(__file__).resolve().parents[2]
PAGE = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
MIB, GIB = 1 << 20, 1 << 30


def most_layers() -> int:
    return next(
        rule.le for rule in ModelConfig.model_fields["num_encoder_layers"].metadata if getattr(rule, "le", None)
    )


def lowest_sentencepiece() -> str:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return next(d for d in dependencies if d.startswith("sentencepiece")).partition(">=")[2]


@pytest.mark.parametrize(
    "promise",
    [
        f"{untrusted.MAX_TOML_BYTES // MIB} MiB; {untrusted.MAX_TOML_DEPTH} levels of brackets or of parts in a dotted "
        f"key; {untrusted.MAX_TOML_VALUES:,} keys and values",
        f"`tokenizer.json` | {tokenizer.MAX_DESCRIPTION_BYTES // MIB} MiB; {untrusted.MAX_JSON_VALUES:,} values",
        f"`vocabulary.json` | {tokenizer.MAX_FILE_BYTES // MIB} MiB; {vocabulary.MOST_VALUES:,} values",
        f"{sentencepiece_file.MAX_MODEL_BYTES // MIB} MiB; {sentencepiece_file.MAX_PIECES:,} pieces of at most "
        f"{sentencepiece_file.MAX_PIECE_BYTES:,} bytes",
        f"safetensors file | {weights_file._LARGEST_HEADER_BYTES // MIB} MiB; {weights_file._MOST_VALUES:,} values",
        f"{archive._LARGEST_BYTES // GIB} GiB unpacked, and at most {archive._LARGEST_RATIO} times the size of the "
        f"file; its records {archive._LARGEST_MANIFEST_BYTES // MIB} MiB and {archive._MOST_VALUES:,} values",
        f"a probe of a run (`.npz`) | {answers_training._LARGEST_PROBE_BYTES // MIB} MiB unpacked",
        f"an `.npz` of Marian's | {marian_npz_reading._LARGEST_RATIO} times the size of the file",
        f"{most_layers():,} layers each",
        f"the first {untrusted._MOST_SHOWN} are told",
        f"{sentencepiece_child.MEMORY_BYTES // GIB} GiB of memory, {sentencepiece_child.PROCESSOR_SECONDS} seconds of "
        f"processor time and {foreign_segmenter.WALL_SECONDS} seconds in all",
        f"more than {archives._MOST_RATIO} times the archive's size",
        f"The lowest version of SentencePiece that is allowed, {lowest_sentencepiece()},",
    ],
)
def test_a_promised_limit_is_the_one_of_the_code(promise: str) -> None:
    assert promise in PAGE


def test_the_page_says_how_to_report() -> None:
    assert re.search(r"## How to report a fault .*Report a vulnerability", PAGE)
