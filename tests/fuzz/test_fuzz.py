"""Damaged inputs for each way in: each is accepted or refused in a sentence, in bounded time and memory.

They are those that once did harm and a thousand more, the same each time. One that fails is written to a file and
named; to keep it, add it to ``kept.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .harness import run

INPUTS = 1000
NAMES = [
    "text_lines", "tsv", "json_lines", "toml", "tokenizer", "weights", "npz", "requests", "raw_requests",
    "document_texts", "document_archives",
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the limits of the child are those of Linux"),
]


@pytest.mark.parametrize("target", NAMES)
def test_inputs_that_once_did_harm_and_a_thousand_more_do_none(target: str, tmp_path: Path) -> None:
    report = run(target, tmp_path, count=INPUTS)
    assert not report.failures, report.told()
    assert report.accepted + report.refused == report.given > INPUTS, "every target has inputs that once did harm"
    # Damage that is always refused, or never, finds nothing.
    assert report.accepted > INPUTS // 100
    assert report.refused > INPUTS // 20
