"""Unknown pieces are counted a side, with characters that a reader recognises; a share over the limit is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pellucid.config import TokenizerConfig
from pellucid.errors import DataError
from pellucid.text.corpus import SentencePair
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tokenizer import BytesTokenizer, train_tokenizer
from pellucid.text.unknown import UnknownCounter, UnknownPieces, refuse_unknown

UNK = 1


def by_character(texts: Sequence[str]) -> list[list[int]]:
    """Know small letters and the space, a piece each."""
    return [[UNK if not ("a" <= c <= "z" or c == " ") else ord(c) for c in text] for text in texts]


def counted(*texts: str) -> UnknownPieces:
    counter = UnknownCounter("target", by_character, unk=UNK)
    rows = by_character(texts)
    counter.see(texts, np.array([i for row in rows for i in row]), np.cumsum([len(row) for row in rows]))
    return counter.result()


def test_counts_and_examples() -> None:
    found = counted("ein hund", "ΩaΩ λ", "b")
    assert (found.pieces, found.unknown, found.characters) == (14, 3, "Ωλ")
    assert found.share == pytest.approx(3 / 14)
    assert str(found) == "21 % of the target pieces (3 of 14) are unknown, among them Ω λ"


def test_what_is_known_is_no_example_and_what_cannot_be_shown_neither() -> None:
    assert counted("abc").characters == ""
    assert counted("a\u200bb\u2028").characters == ""
    assert counted("a\u200bb\u2028").unknown == 2
    assert counted().share == 0


def test_examples_are_few_however_many_there_are() -> None:
    every = "".join(chr(code) for code in range(0x4E00, 0x4E80))
    assert counted(every, every).characters == every[:8]
    assert counted(every, every).unknown == 256


def test_a_small_share_keeps_its_digits() -> None:
    assert str(counted("a" * 9990 + "ΩΩΩ")).startswith("0.03 % of the target pieces (3 of 9,993)")


def store(folder: Path, pairs: list[tuple[str, str]], tokenizer: object) -> TokenStore:
    rows = [SentencePair(source, target, line, 0) for line, (source, target) in enumerate(pairs)]
    return write_store(folder / "store", rows, tokenizer, max_length=50)  # type: ignore[arg-type]


LATIN = [(f"the dog runs {n}", f"a cat sleeps {n}") for n in range(60)]
GREEK = [(f"the dog runs {n}", f"Ο σκύλος τρέχει {n}") for n in range(10)]


@pytest.mark.parametrize("joint", [True, False])
def test_a_store_knows_what_its_tokenizer_did_not(joint: bool, tmp_path: Path) -> None:
    pairs = [SentencePair(source, target, 0, 0) for source, target in LATIN]
    config = TokenizerConfig(byte_fallback=False, joint=joint)
    tokenizer = train_tokenizer(lambda: pairs, config, seed=1, threads=1)
    made = store(tmp_path, GREEK, tokenizer)
    source, target = made.unknown
    assert (source.side, source.unknown) == ("source", 0)
    assert target.unknown == sum(list(made.target(row)).count(tokenizer.specials.unk) for row in range(len(made))) > 0
    assert target.pieces == made.target_lengths.sum()
    assert set(target.characters) <= set("Οσκύλοςτρέχει")
    assert TokenStore.open(made.folder).unknown == made.unknown


def test_byte_fallback_and_bytes_know_everything(tmp_path: Path) -> None:
    pairs = [SentencePair(source, target, 0, 0) for source, target in LATIN]
    learnt = train_tokenizer(lambda: pairs, TokenizerConfig(), seed=1, threads=1)
    for tokenizer in (learnt, BytesTokenizer()):
        assert [side.unknown for side in store(tmp_path, GREEK, tokenizer).unknown] == [0, 0]


def test_the_limit_itself_is_allowed_and_more_is_refused() -> None:
    sides = (UnknownPieces("source", 100, 5, ""), UnknownPieces("target", 100, 45, "Ωλ"))
    refuse_unknown(sides[:1], most=0.05)
    refuse_unknown(sides, most=0.45)
    with pytest.raises(
        DataError, match=r"45 % of the target pieces \(45 of 100\).*among them Ω λ.*= 0\.05\b"
    ) as caught:
        refuse_unknown(sides, most=0.05)
    message = str(caught.value)
    assert "source" not in message
    assert "raise data.max_unknown_share" in message
    assert "byte fallback" in message
    with pytest.raises(DataError, match=r"of the source pieces.*of the target pieces"):
        refuse_unknown(sides, most=0)
