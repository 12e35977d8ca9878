"""What is not UTF-8 is named by what it looks like, or not at all: a wrong guess would spoil a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.formats.encodings import guess_of, is_other_encoding, looks_like
from pellucid.text.formats.reading import FilesReader
from pellucid.text.lines import refuse_other_encoding

TEXTS = {
    "de": "Die Straße ist für Fußgänger.\nSchöne Füße gehören Mädchen.",
    "fr": "Le café est fermé.\nÀ côté de l'école, l'été dernier.\nÇa va très bien.",
    "pl": "Dziękuję bardzo, że przyszłaś.\nChciałbym kupić mąkę i sól na święta.",
    "ru": "Привет, как дела?\nМосква, столица России, очень большая.",
    "el": "Καλημέρα, τι κάνεις;\nΗ Αθήνα είναι μεγάλη.",
    "zh": "今天天气很好，我们去公园吧。\n他说：“你好。”",
    "zh-TW": "今天天氣很好，我們去公園吧。\n他說：「你好。」",
    "ja": "今日は天気がいいですね。\nカメラを買いました。",
    "ko": "안녕하세요, 오늘 날씨가 좋네요.\n서울은 한국의 수도입니다.",
}


@pytest.mark.parametrize(
    ("language", "codec", "name"),
    [
        ("de", "latin-1", "WINDOWS-1252"),
        ("fr", "cp1252", "WINDOWS-1252"),
        ("pl", "cp1250", "WINDOWS-1250"),
        ("ru", "cp1251", "WINDOWS-1251"),
        ("ru", "koi8-r", "KOI8-R"),
        ("el", "cp1253", "WINDOWS-1253"),
        ("zh", "gb18030", "GB18030"),
        ("zh-TW", "big5", "BIG5"),
        ("ja", "cp932", "SHIFT_JIS"),
        ("ja", "euc_jp", "EUC-JP"),
        ("ko", "euc_kr", "EUC-KR"),
        ("de", "utf-16-le", "UTF-16LE"),
        ("fr", "utf-16-be", "UTF-16BE"),
        ("ru", "cp866", ""),
        ("fr", "mac_roman", ""),
        ("fr", "utf-8", ""),
    ],
)
def test_a_text_looks_like_its_encoding_or_like_nothing(language: str, codec: str, name: str) -> None:
    raw = TEXTS[language].encode(codec)
    assert guess_of(raw) == name
    if name:
        assert raw.decode(name) == TEXTS[language], "what the message says restores the text"
        assert f"iconv -f {name} -t UTF-8" in looks_like(raw)


@pytest.mark.parametrize("raw", [b"ab\xff", b"\xed\xa0\x80", b"c\xc3", b"A\n\xff\nlong", b"", b"\n", b"plain"])
def test_damaged_bytes_look_like_nothing(raw: bytes) -> None:
    assert guess_of(raw) == looks_like(raw) == ""


def test_damaged_lines_among_good_ones_look_like_nothing() -> None:
    good = "Schöne Füße.\n".encode()
    assert guess_of(good * 2 + b"sch\xf6n\n") == ""
    assert guess_of(good + b"sch\xf6n\nm\xfcde\n") == "WINDOWS-1252"


def test_another_encoding_needs_several_lines_and_most_of_them() -> None:
    assert is_other_encoding(bad_lines=3, good_lines=0)
    assert is_other_encoding(bad_lines=3, good_lines=2)
    assert not is_other_encoding(bad_lines=2, good_lines=0)
    assert not is_other_encoding(bad_lines=3, good_lines=3)
    refuse_other_encoding("x", b"\xff\xfea\0\n\0" * 9)  # a mark of UTF-16 is refused where it is read
    with pytest.raises(DataError, match=r"^x, line 2: is not valid UTF-8, like 3 of the first 3 lines with"):
        refuse_other_encoding("x", b"plain\n" + b"m\xfcde\n" * 3)


def read(path: Path, policy: InvalidUtf8) -> list[str]:
    reader = FilesReader(CorpusConfig(files=(str(path),)), languages=("de", "en"), invalid_utf8=policy)
    found = [unit.source for unit in reader.read()]
    (report,) = reader.reports()
    assert report.left_out == ({"invalid text": 10 - len(found)} if len(found) < 10 else {})
    return found


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl"])
def test_files_of_units_obey_the_policy(tmp_path: Path, ending: str) -> None:
    row = {"tsv": "{0}\t{0}\n", "csv": "{0},{0}\n", "jsonl": '{{"source": "{0}", "target": "{0}"}}\n'}[ending]
    texts = ["Ein Satz.", *(f"Schöner Satz {n}." for n in range(9))]
    (path := tmp_path / f"x.{ending}").write_bytes("".join(map(row.format, texts)).encode("latin-1"))
    with pytest.raises(DataError, match=r"line 2: has invalid text, like 9 of 9 units with .* WINDOWS-1252"):
        read(path, InvalidUtf8.STRICT)
    assert read(path, InvalidUtf8.SKIP) == texts[:1]
    assert read(path, InvalidUtf8.REPLACE) == [text.replace("ö", "\ufffd") for text in texts]
    path.write_bytes(path.read_bytes().decode("latin-1").encode())
    assert read(path, InvalidUtf8.STRICT) == texts
    path.write_bytes(path.read_bytes().replace(b" 3", b" \xff"))
    assert len(read(path, InvalidUtf8.STRICT)) == 9, "a damaged unit costs itself alone"
