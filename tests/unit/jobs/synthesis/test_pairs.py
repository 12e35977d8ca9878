"""Every line gives one row: a pair in the right direction, or the first reason why there is none."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.memory import traced_peak

from pellucid.config import validated
from pellucid.config.synthesis import SynthesisConfig
from pellucid.errors import DataError
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.sentence_bleu import SentenceBleu
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.synthesis.corpus import CorpusWriter
from pellucid.jobs.synthesis.pairs import FAILED, UNREADABLE, PairMaker, SynthesisKind, pairs_of
from pellucid.text.cleaning import FILTERS
from pellucid.translation.flags import FLAGS
from pellucid.translation.hypothesis import Hypothesis, Translation
from pellucid.translation.translator import Translator

BACK, TEACHER = SynthesisKind.BACK_TRANSLATION, SynthesisKind.DISTILLATION


def translation(source: str, *texts: str, flags: tuple[str, ...] = (), error: str | None = None) -> Translation:
    alternatives = tuple(Hypothesis((), -1.0 - n, -1.0, (), True, text=text) for n, text in enumerate(texts))
    return Translation(source, texts[0] if texts else "", -1.0, (), alternatives, flags, error)


class Table:
    """A translator that looks its translations up, and remembers what it was asked for."""

    def __init__(self, **found: Translation) -> None:
        self.found = found
        self.asked: list[str] = []

    def translate_stream(
        self, texts: Iterable[str | None], *, chunk: int, progress: Callable[[int], None]
    ) -> Iterator[Translation]:
        for text in texts:
            if text is not None:
                self.asked.append(text)
            progress(1)
            yield self.found.get(text or "", translation(text or "", f"<{text}>"))


def rows(
    table: Table,
    *lines: tuple[str | ValueError, ...],
    kind: SynthesisKind = BACK,
    close: bool = False,
    language_tag: str = "",
    **filters: object,
) -> list[tuple[str, str, str]]:
    config = validated(SynthesisConfig, filters, place="test")
    closeness = SentenceBleu(bleu_tokenizer("en")) if close else None
    make = PairMaker(cast(Translator, table), kind, config, 3, language_tag, closeness)
    seen: list[int] = []
    finished = make(Part(1, 1, lines, ""), seen.append)
    assert finished.tally.lines == len(lines) == finished.text.count("\n")
    assert seen == sorted(seen)
    found = pairs_of(iter(finished.text.removesuffix("\n").split("\n")))
    return [(reason, pair.source, pair.target) for reason, pair in found]


def test_the_model_writes_the_source_or_the_target() -> None:
    assert rows(Table(), ("ein Hund",), kind=BACK) == [("", "<ein Hund>", "ein Hund")]
    assert rows(Table(), ("ein Hund",), kind=TEACHER) == [("", "ein Hund", "<ein Hund>")]


def test_a_language_tag_is_for_the_model_alone() -> None:
    table = Table()
    ((_, source, target),) = rows(table, ("ein Hund",), language_tag=">>eng<<")
    assert table.asked == [">>eng<< ein Hund"]
    assert (source, target) == ("<>>eng<< ein Hund>", "ein Hund")


def test_each_reason_is_said_and_needless_work_is_left_out() -> None:
    long, copied = "x" * 2001, "this line comes back as it is"
    table = Table(
        bad=translation("bad", error="too long for the model"),
        stutters=translation("stutters", "a a a a a", flags=("low_confidence", "repetition")),
        doubtful=translation("doubtful", "perhaps", flags=("low_confidence",)),
    )
    table.found[copied] = translation(copied, copied)
    table.found["x" * 100] = translation("x" * 100, "y")
    lines = ["  ", long, "bad", copied, "x" * 100, "stutters", "doubtful"]
    found = rows(table, *((line,) for line in lines), (ValueError("byte 3 is not valid UTF-8"),))
    assert [reason for reason, _, _ in found] == [
        "empty",
        "too_long",
        FAILED,
        "copy",
        "length_ratio",
        "flag repetition",
        "",
        UNREADABLE,
    ]
    assert table.asked == lines[2:]


def test_filters_are_settings() -> None:
    copied = "this line comes back as it is"
    table = Table(odd=translation("odd", "a a a a", flags=("repetition",)))
    table.found[copied] = translation(copied, copied)
    free = rows(table, (copied,), ("odd",), cleaning={"drop_copies": False}, drop_flags=[])
    assert [reason for reason, _, _ in free] == ["", ""]
    strict = rows(table, ("kurz",), cleaning={"max_ratio": 1.2, "ratio_minimum_characters": 0})
    assert strict == [("length_ratio", "", "")]


def test_the_translation_closest_to_the_reference_is_kept() -> None:
    table = Table(s=translation("s", "a cat is here", "the dog sleeps on the mat", "the dog sleeps", flags=("copy",)))
    found = rows(table, ("s", "the dog sleeps on a mat"), kind=TEACHER, close=True)
    assert found == [("", "s", "the dog sleeps on the mat")]
    # The flags are the first one's, so they drop it alone.
    assert rows(table, ("s", "a cat is here"), kind=TEACHER, close=True) == [("flag copy", "", "")]


def test_of_equally_close_translations_the_most_probable_is_kept() -> None:
    table = Table(s=translation("s", "first of all", "second of all"))
    assert rows(table, ("s", "nothing alike"), kind=TEACHER, close=True)[0][2] == "first of all"


@given(st.lists(st.text(alphabet=" \t\r\x0b\u2028ab", max_size=9), min_size=1, max_size=9))
def test_no_text_moves_a_line_or_a_column(texts: list[str]) -> None:
    lines = [(text.replace("\n", " "),) for text in texts]
    for reason, source, target in rows(Table(), *lines):
        assert "\t" not in source + target
        assert "\n" not in source + target
        assert reason in {"", "empty", "copy", "length_ratio"}


def writer_of(tmp_path: Path, text: str, **cleaning: object) -> CorpusWriter:
    writer = CorpusWriter(validated(SynthesisConfig, {"cleaning": cleaning}, place="test"))
    writer.write(tmp_path / "out.tsv.gz", iter([text[: text.index("\n") + 1], "", text[text.index("\n") + 1 :]]))
    return writer


ROWS = "\ta\tb\nempty\t\t\n\ta\tb\n\tb\ta\n\tab\t\n"


def test_the_counts_add_up_and_duplicates_go(tmp_path: Path) -> None:
    report = writer_of(tmp_path, ROWS).report
    assert gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()) == b"a\tb\nb\ta\nab\t\n"
    assert (report.read, report.kept, report.dropped) == (5, 3, {"empty": 1, "duplicate": 1})
    assert writer_of(tmp_path, ROWS, drop_duplicates=False).report.kept == 4


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    def peak(parts: int, *, drops: bool) -> int:
        writer = CorpusWriter(validated(SynthesisConfig, {"cleaning": {"drop_duplicates": drops}}, place="test"))
        texts = ("".join(f"\tsource {part} {n}\ttarget\n" for n in range(500)) for part in range(parts))
        with traced_peak() as found:
            writer.write(tmp_path / "out.tsv", texts)
        assert writer.report.kept == 500 * parts
        return found.bytes

    assert peak(40, drops=False) < 1.2 * peak(4, drops=False)


def test_a_corpus_without_pairs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no pair is left \(2 lines read, 0 pairs written; dropped: empty 1, copy 1\)"):
        writer_of(tmp_path, "empty\t\t\ncopy\t\t\n")
    assert not list(tmp_path.iterdir())


def test_the_flags_that_drop_by_default_exist() -> None:
    assert set(SynthesisConfig().drop_flags) <= set(FLAGS)
    assert not {UNREADABLE, FAILED} & FILTERS.keys()
