"""Inside of ``parsing_once`` a file is parsed once, and every pass yields what parsing it again would."""

from __future__ import annotations

import os
from itertools import islice, zip_longest
from pathlib import Path

import pytest
from tests.unit.text.formats.memories import po, tmx, tu, write

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.text.formats import reading
from pellucid.text.formats.keeping import parsing_once
from pellucid.text.formats.reading import FilesReader, NumberedUnit
from pellucid.text.formats.units import FileReport

UNITS = [tu(("de", f"Satz {n}"), ("en-GB", f"Sentence {n} 👍"), document=f"{n // 2}") for n in range(5)]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are parsed, one for each time."""
    names: list[str] = []
    for name, read in dict(reading._READERS).items():
        monkeypatch.setitem(
            reading._READERS, name, lambda path, asked, read=read: names.append(path.name) or read(path, asked)
        )
    return names


def reader(*paths: Path, notes: list[str] | None = None, languages: tuple[str, str] = ("de", "en")) -> FilesReader:
    corpus = CorpusConfig(files=tuple(map(str, paths)))
    return FilesReader(
        corpus, languages=languages, invalid_utf8=InvalidUtf8.STRICT, say=([] if notes is None else notes).append
    )


def passed(*paths: Path) -> tuple[list[NumberedUnit], tuple[FileReport, ...], list[str]]:
    notes: list[str] = []
    one = reader(*paths, notes=notes)
    return list(one.read()), one.reports(), notes


def test_every_pass_yields_the_units_the_report_and_the_notes_of_the_first(tmp_path: Path, parsed: list[str]) -> None:
    paths = (
        write(tmp_path / "m.tmx", tmx([*UNITS, "<tu/>"])),
        write(tmp_path / "a.po", po(['msgid "Yes"\nmsgstr "Ja"'])),
    )
    expected = passed(*paths)
    assert len(expected[0]) == 6
    assert len(expected[2]) == 1, "the PO file is turned round"
    parsed.clear()
    with parsing_once(tmp_path / "not" / "yet"):
        assert [passed(*paths) for _ in range(3)] == [expected] * 3
    assert parsed == ["m.tmx", "a.po"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.po", "m.tmx"]
    assert passed(*paths) == expected
    assert len(parsed) == 4, "nothing is kept outside"


def test_passes_may_go_on_at_once(tmp_path: Path, parsed: list[str]) -> None:
    path = write(tmp_path / "m.tmx", tmx(UNITS * 2000))  # more than one buffer
    with parsing_once(tmp_path):
        whole = list(reader(path).read())
        both = zip_longest(reader(path).read(), reader(path).read())
        assert [one for one, _ in both] == whole
        assert all(one == other for one, other in zip_longest(reader(path).read(), reader(path).read()))
    assert len(parsed) == 1


def test_a_pass_that_ends_early_is_not_kept(tmp_path: Path, parsed: list[str]) -> None:
    path = write(tmp_path / "m.tmx", tmx(UNITS))
    with parsing_once(tmp_path):
        assert len(list(islice(reader(path).read(), 2))) == 2
        assert len(list(reader(path).read())) == len(list(reader(path).read())) == 5
    assert len(parsed) == 2


def test_other_languages_and_other_contents_are_parsed_anew(tmp_path: Path, parsed: list[str]) -> None:
    path = write(tmp_path / "m.tmx", tmx(UNITS))
    with parsing_once(tmp_path):
        there = [(unit.source, unit.target) for unit in reader(path).read()]
        back = [(unit.target, unit.source) for unit in reader(path, languages=("en", "de")).read()]
        assert there == back
        write(path, tmx(UNITS[:2]))
        os.utime(path, (1, 1))
        assert len(list(reader(path).read())) == 2
    assert len(parsed) == 3
