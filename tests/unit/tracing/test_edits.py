"""An edit that does not fit is refused, and the sentence says what is allowed."""

from __future__ import annotations

import pytest

from pellucid.config import PositionLayout
from pellucid.errors import RequestError
from pellucid.tracing.editing.choices import BanPiece, ChangeWord, ForcePiece
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, parse_edit, parse_edits
from pellucid.tracing.edits import (
    AblateHead,
    AblateSublayer,
    AblateUnits,
    AblationMode,
    OtherPositions,
    OtherSentence,
    SetAttention,
    ZeroValue,
)
from pellucid.tracing.making import trace

from .kit import make_translator

TRANSLATOR = make_translator()  # 1 encoder layer, 2 decoder layers, 3 heads
CROSS, OWN, ENCODER = "decoder.cross_attention", "decoder.self_attention", "encoder.self_attention"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            AblateHead(CROSS, 2, 0),
            r"decoder\.2\.cross_attention\.head\.0: layer = 2; allowed are the whole numbers 0 to 1",
        ),
        (AblateHead(ENCODER, 1, 0), r"layer = 1; allowed are the whole numbers 0 to 0"),
        (AblateHead(CROSS, 0, 3), r"head = 3; allowed are the whole numbers 0 to 2"),
        (AblateHead(CROSS, 0, -1), r"head = -1"),
        (AblateHead(CROSS, 0, True), r"head = True"),
        (
            SetAttention(CROSS, 0, 0, 3, (1, 0, 0)),
            r"cross_attention\.head\.0: row = 3; allowed are the whole numbers 0 to 2",
        ),
        (SetAttention(CROSS, 0, 0, 0, (1, 0)), r"2 weights for 3 columns of decoder\.0\.cross_attention"),
        (SetAttention(CROSS, 0, 0, 0, (0.5, 0.25, 0)), r"sum to 0\.75; they must sum to 1"),
        (SetAttention(CROSS, 0, 0, 0, (1.5, -0.5, 0)), r"weights\[1\] = -0\.5; weights must be finite"),
        (SetAttention(CROSS, 0, 0, 0, (float("nan"), 1, 0)), r"weights\[0\] = nan"),
        (SetAttention(OWN, 0, 0, 1, (0, 0.5, 0.5)), r"row 1 .* can attend to columns 0 to 1 only"),
        (ZeroValue(3), r"decoder\.cross_attention\.value\.3=zero: position = 3; allowed are the whole numbers 0 to 2"),
        (
            AblateSublayer("encoder", 1, "feed_forward"),
            r"encoder\.1\.feed_forward=zero: layer = 1; allowed are .* 0 to 0",
        ),
        (AblateUnits("decoder", 0, (2, 997)), r"unit = 997; allowed are the whole numbers 0 to \d+"),
        (AblateHead(ENCODER, 0, 1, "mean", row=3), r"head\.1: row = 3; allowed are the whole numbers 0 to 2"),
        (AblateHead(ENCODER, 0, 1, OtherSentence("zwei")), r"has 2 source pieces and this one 3; .* equal length"),
        (ForcePiece(0, "a"), r"step\.0=\"a\": has no effect on a translation that is given"),
        (ChangeWord(2, None), r"word\.2=drop: the sentence has words 0 to 1"),
        ("no edit", r"the edit 'no edit' has no '='; edits are"),
        (3, r"edits\[0\] is of type int; give an edit such as encoder"),
    ],
)
def test_what_does_not_fit_is_refused(edit: Edit, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        trace(TRANSLATOR, "ein Hund", target="a dog", edits=[edit])


def test_names_are_checked_where_they_are_given() -> None:
    with pytest.raises(RequestError, match=r"kind = 'cross'; allowed are 'encoder\.self_attention'"):
        AblateHead("cross", 0, 0)
    with pytest.raises(RequestError, match=r"mode = 'median'; allowed are 'zero', 'mean'"):
        AblateHead(CROSS, 0, 0, "median")


SAMPLE = Sample.of([("ein Hund", "a dog"), ("zwei", 'a; "b"')])
TEXTS: dict[str, Edit] = {
    "encoder.0.self_attention.head.3=zero": AblateHead(ENCODER, 0, 3),
    "decoder.1.cross_attention.head.2=mean": AblateHead(CROSS, 1, 2, "mean"),
    f"decoder.1.self_attention.head.0=mean:{SAMPLE.sha256[:12]}": AblateHead(OWN, 1, 0, SAMPLE),
    'decoder.1.cross_attention.head.0.row.4=from:"a; \\"b\\" = c"': AblateHead(
        CROSS, 1, 0, OtherSentence('a; "b" = c'), row=4
    ),
    "decoder.0.self_attention.head.1.row.1=0.5,0.5,0": SetAttention(OWN, 0, 1, 1, (0.5, 0.5, 0)),
    "decoder.2.feed_forward=mean": AblateSublayer("decoder", 2, "feed_forward", AblationMode.MEAN),
    "encoder.2.self_attention=zero": AblateSublayer("encoder", 2, "self_attention"),
    "encoder.0.feed_forward.unit.17,40=zero": AblateUnits("encoder", 0, (17, 40)),
    "decoder.cross_attention.value.1=zero": ZeroValue(1),
    "positions=half_split_t2t": OtherPositions(PositionLayout.HALF_SPLIT_T2T),
    "positions=zero": OtherPositions(None),
    'step.4="▁elle; \\"x"': ForcePiece(4, '▁elle; "x'),
    'ban="▁il"': BanPiece("▁il"),
    'word.3="wide"': ChangeWord(3, "wide"),
    "word.3=drop": ChangeWord(3, None),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_an_edit_and_back(text: str) -> None:
    assert str(TEXTS[text]) == text
    assert parse_edit(text, samples=[SAMPLE]) == TEXTS[text]


def test_a_list_is_its_edits_in_their_order() -> None:
    assert parse_edits("; ".join(TEXTS), samples=[SAMPLE]) == tuple(TEXTS.values())
    assert parse_edit("step.4=elle") == ForcePiece(4, "▁elle")
    assert parse_edit("encoder.0.feed_forward=mean:sample", samples=[SAMPLE]).mode == SAMPLE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no '='"),
        (" ; ", "the text of an edit is empty"),
        ("encoder.0.cross_attention.head.1=zero", "an encoder has no cross_attention"),
        ("encoder.0.cross_attention=zero", "is not a sub-layer"),
        ("encoder.0.norm=zero", r"there is no place 'encoder\.0\.norm'"),
        ("encoder.-1.feed_forward=zero", "there is no place"),
        ("encoder.0.feed_forward=median", r"'median' is unknown; allowed are zero, mean, mean:SAMPLE and from"),
        ("positions=learned", r"'learned' is unknown; allowed are zero, interleaved, half_split_paper_frequency"),
        ("encoder.0.feed_forward=mean:sample", "known here: none"),
        ("encoder.0.feed_forward=mean:0123abcd", "no sample has the SHA-256 '0123abcd'"),
        ("decoder.cross_attention.value.0=mean", "can only be zero"),
        ("decoder.0.cross_attention.head.0.row.1=0.5,,1", "is unknown"),
        ("decoder.0.cross_attention.head.0.row.1=1e,2", "is not a list of weights"),
        ('step.1="', "is not a text in quotes"),
        ("step.1=", "give the text after '='"),
        ('word.1=" "', "give a word, or drop"),
        ("ban=", "give the text after '='"),
        ("step.1=a; step.1=a", "occurs twice"),
    ],
)
def test_a_text_that_is_no_edit_is_refused(text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        parse_edits(text) if text else parse_edit(text)


def test_two_edits_of_one_site_act_together() -> None:
    edits = [AblateHead(CROSS, 0, 0), AblateHead(CROSS, 0, 1)]
    made = trace(TRANSLATOR, "ein Hund", target="a dog", edits=edits)
    assert not made["decoder.0.cross_attention.context"][:2].any()
    assert made["decoder.0.cross_attention.context"][2].any()
