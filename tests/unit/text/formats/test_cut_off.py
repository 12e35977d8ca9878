"""A file that was cut off is refused, whatever its format: half of a memory is no memory."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.unit.text.formats.memories import po, tmx, tu, write, xliff_1, xliff_2
from tests.unit.text.formats.test_formats import read, texts

from pellucid.errors import DataError

UNITS = [tu(("de", f"Hund {number}"), ("en", f"dog {number}")) for number in range(5)]
TMX = tmx(UNITS)
SEGMENT = '<trans-unit id="{0}"><source>Hund {0}</source><target>dog {0}</target></trans-unit>'
SEGMENT_2 = '<unit id="{0}"><segment><source>Hund {0}</source><target>dog {0}</target></segment></unit>'
PO = po([f'msgid "dog {number}"\nmsgstr "Hund {number}"' for number in range(5)])
JSONL = "".join(json.dumps({"de": f"Hund {number}", "en": f"dog {number}"}) + "\n" for number in range(5))
WHOLE = {
    "m.tmx": TMX,
    "m.xlf": xliff_1([SEGMENT.format(number) for number in range(5)]),
    "m2.xlf": xliff_2([SEGMENT_2.format(number) for number in range(5)]),
    "m.po": PO,
    "m.jsonl": JSONL,
    "m.csv": "de,en\n" + "".join(f'"Hund {number}","dog {number}"\n' for number in range(5)),
    "m.tsv": "".join(f"Hund {number}\tdog {number}\n" for number in range(5)),
}
"""Files of five units."""
IN_UNIT_3 = {
    "m.tmx": "<seg>dog 3",
    "m.xlf": "<target>dog 3",
    "m2.xlf": "<target>dog 3",
    "m.po": 'msgstr "Hund 3',
    "m.jsonl": '"en": "dog 3',
    "m.csv": '"Hund 3',
    "m.tsv": "Hund 3",
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_within_a_unit_is_refused(tmp_path: Path, name: str, packed: bool) -> None:
    mark = IN_UNIT_3[name]
    text = WHOLE[name]
    cut = text[: text.index(mark) + len(mark)]
    for content, is_whole in ((text, True), (cut, False)):
        path = tmp_path / f"{name}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
        if is_whole:
            assert sorted(texts(read(path)[0])) == [(f"Hund {number}", f"dog {number}") for number in range(5)]
            continue
        with pytest.raises(DataError, match=r"cut off; export or fetch it again") as refused:
            read(path)
        assert "line" in str(refused.value)
        assert "after 3 units" in str(refused.value) or "after 4 units" in str(refused.value)


@pytest.mark.parametrize("end", range(1, 400, 7))
def test_a_memory_cut_anywhere_is_refused(tmp_path: Path, end: int) -> None:
    with pytest.raises(DataError, match=r"cut off|has no units|declares entities"):
        read(write(tmp_path / "m.tmx", TMX.rstrip()[:-end]))


@pytest.mark.parametrize("end", ["", "\n", "  <!-- made by a tool -->\n", "\n<?done?>", "\0\0"])
def test_what_follows_the_root_does_no_harm(tmp_path: Path, end: str) -> None:
    assert len(read(write(tmp_path / "m.tmx", TMX.rstrip() + end))[0]) == 5


def test_the_end_tag_in_a_text_is_not_the_end(tmp_path: Path) -> None:
    text = tmx([tu(("de", "<![CDATA[</tmx>]]> Hund"), ("en", "dog")), *UNITS])
    assert len(read(write(tmp_path / "m.tmx", text))[0]) == 6
    with pytest.raises(DataError, match=r"after 1 unit, so it was cut off"):
        read(write(tmp_path / "cut.tmx", text[: text.index("</tu>") + 5]))


def test_with_the_missing_tag_the_rest_is_used(tmp_path: Path) -> None:
    cut = TMX[: TMX.index("dog 3")]
    units, report = read(write(tmp_path / "m.tmx", f"{cut}</tmx>"))
    assert len(units) == 3
    assert report.left_out == {"broken": 1}


def test_a_comment_without_an_end_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without -->"):
        read(write(tmp_path / "m.tmx", TMX.replace("</body>", "<!-- </body>")))


def test_an_entry_without_a_translation_line_is_broken(tmp_path: Path) -> None:
    _, report = read(write(tmp_path / "m.po", PO + '\nmsgid "cat"\n'))
    assert report.left_out == {"broken": 1}


def test_a_broken_line_in_the_middle_costs_itself_only(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tsv", "Hund\tdog\nKatze\nJa\tyes")
    assert read(path)[1].left_out == {"broken": 1}
