"""Subtitles: times, numbers and tags stay, and lines are broken again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.documents.reading import changed, identity, opened, shown

SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i> there,\r\nmy friend!\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\n- Who?\r\n- {\\an8}Me.\r\n"
)
VTT = "WEBVTT\n\nNOTE a note\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:02.000 line:0\n<v Bob>Tom &amp; me</v>\n"


def test_cues_are_segments() -> None:
    assert shown(opened("srt", SRT)) == ["(1Hello1) there,\r\nmy friend!", "[1]Who?", "[1][2]Me."]
    assert shown(opened("vtt", VTT)) == ["(1Tom & me1)"]


@pytest.mark.parametrize(
    ("cue", "seen"),
    [
        ("- Who?\n- Me.", ["[1]Who?", "[1]Me."]),
        ("Hello.\n– Me. Yes\nand more", ["Hello.", "[1]Me. Yes\nand more"]),
        ("JEAN : It is.", ["[1]It is."]),
        ("- MR. O'NEILL: Yes.", ["[1][2]Yes."]),
        ("<i>- OK.</i>", ["(1[2]OK.1)"]),
        ("♪ He sings ♪", ["[1]He sings[2]"]),
        ("[A DOOR SLAMS]", ["[1]A DOOR SLAMS[2]"]),
        ("It is: here. Half-time: 2:0", ["It is: here. Half-time: 2:0"]),
        ("{\\an8}<i>ÉLÉONORE: yes</i>", ["[1](2[3]yes2)"]),
        ("♪♪", []),
        ("12", []),
    ],
)
def test_what_is_not_spoken_is_codes(cue: str, seen: list[str]) -> None:
    file = f"1\n00:00:01,000 --> 00:00:02,000\n{cue}\n"
    document = opened("srt", file)
    assert shown(document) == seen
    assert identity(document) == file.encode()
    marks = [one for one in ("JEAN : ", "- MR. O'NEILL: ", "ÉLÉONORE: ", "♪ ", " ♪", "[", "]") if one in cue]
    assert all(one in changed(document, str.lower) for one in marks)


def test_times_and_numbers_of_lines_stay() -> None:
    assert changed(opened("srt", SRT)) == (
        "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>HELLO</i> THERE,\r\nMY FRIEND!\r\n\r\n"
        "2\r\n00:00:03,000 --> 00:00:04,000\r\n- WHO?\r\n- {\\an8}ME.\r\n"
    )
    assert changed(opened("vtt", VTT)) == VTT.replace("Tom", "TOM").replace(" me<", " ME<")
    assert len(changed(opened("srt", SRT), lambda text: "a" * len(text)).splitlines()) == len(SRT.splitlines()) - 1


@given(st.lists(st.sampled_from([*SRT.split("\r\n"), *VTT.split("\n"), "\r", "a < b", "<c>x", "</i>"])).map("\n".join))
def test_any_subtitles_come_back_byte_for_byte(text: str) -> None:
    for format in ("srt", "vtt"):
        assert identity(opened(format, text)) == text.encode()
