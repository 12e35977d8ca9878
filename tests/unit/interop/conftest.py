"""These tests prove conversions without ``transformers``, as they are proved where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.interop import formats
from pellucid.interop.verification import comparison as verification
from pellucid.interop.verification import samples
from pellucid.text.tokenizer import Tokenizer

from .kit import TAGS, learned_tokenizer, make_folder


@pytest.fixture(autouse=True)
def _without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "has_transformers", lambda: False)


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare on a few sentences: what is planted here shows on the first."""
    monkeypatch.setattr(samples, "_NUMBER", 7)
    monkeypatch.setattr(samples, "_LONGEST", 11)
    monkeypatch.setattr(verification, "_SEARCHED", 3)
    monkeypatch.setattr(verification, "_LONGEST_SEARCHED", 7)


@pytest.fixture(scope="session")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with language tags; do not write into it."""
    return make_folder(tmp_path_factory.mktemp("marian") / "tagged", tags=TAGS)


@pytest.fixture(scope="session")
def tokenizers() -> dict[bool, Tokenizer]:
    """Return a tokenizer of one vocabulary, which can spell every byte, and one of two, by whether it is joint."""
    return {joint: learned_tokenizer(joint=joint, byte_fallback=joint) for joint in (True, False)}
