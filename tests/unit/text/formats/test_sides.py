"""Which languages a file states, and units that have them the wrong way round."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.text.formats.memories import tmx, tu, write, xliff_1
from tests.unit.text.formats.test_formats import read

from pellucid.errors import DataError
from pellucid.text.formats.naming import NamedFile
from pellucid.text.formats.reading import describe_files
from pellucid.text.formats.sides import SwapWatch, languages_in
from pellucid.text.formats.units import Unit

GERMAN, ENGLISH = "Der Hund schläft heute im Garten.", "The dog sleeps in the garden today."


def test_the_languages_of_a_file(tmp_path: Path) -> None:
    units = [tu(("de-DE", "a"), ("en-GB", "b")), tu(("de-DE", "c"), ("fr", "d"))]
    memory = write(tmp_path / "m.tmx", tmx(units))
    assert languages_in(NamedFile(memory, "tmx")) == ["de-DE", "en-GB", "fr"]
    file = write(tmp_path / "m.xlf", xliff_1([]))
    assert languages_in(NamedFile(file, "xliff")) == ["de", "en-GB"]


@pytest.mark.parametrize("name", ["m.tmx", "m.xlf"])
def test_a_text_is_no_translation_of_itself(tmp_path: Path, name: str) -> None:
    write(tmp_path / "m.tmx", tmx([tu(("de", GERMAN), ("en", ENGLISH))]))
    write(tmp_path / "m.xlf", xliff_1([], target="en"))
    with pytest.raises(DataError, match=r"both languages are 'de'.*its languages are de, en"):
        read(tmp_path / name, languages=("de", "DE"))


def test_swapped_units_are_counted_and_used(tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    right, swapped = tu(("de", GERMAN), ("en", ENGLISH)), tu(("de", ENGLISH), ("en", GERMAN))
    short = [tu(("de", text), ("en", text)) for text in ("Berlin", "OK", "42", "Tom")]
    units, report = read(write(tmp_path / "m.tmx", tmx([right, swapped, *short, swapped, right])))
    assert len(units) == report.used == 8
    assert (report.swapped, report.swapped_places) == (2, (5, 10))
    (line,) = [line for line in describe_files((report,), ("de", "en")) if "swapped" in line]
    assert line.startswith("m.tmx: 2 used units seem to have the languages swapped, at line 5, 10; ")


@pytest.mark.parametrize("languages", [("de", "de-AT"), ("xx", "en"), ("de", "qq")])
def test_languages_that_cannot_be_told_apart_are_not_watched(languages: tuple[str, str]) -> None:
    assert not SwapWatch(languages).is_swapped(Unit(ENGLISH, GERMAN, 0))
