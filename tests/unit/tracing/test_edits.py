"""An edit that does not fit is refused, and the sentence says what is allowed."""

from __future__ import annotations

import pytest

from pellucid.errors import RequestError
from pellucid.tracing.edits import AblateHead, Edit, SetAttention, ZeroValue, edit_from, edit_to_table
from pellucid.tracing.making import trace

from .kit import make_translator

TRANSLATOR = make_translator()  # 1 encoder layer, 2 decoder layers, 3 heads
CROSS, OWN, ENCODER = "decoder.cross_attention", "decoder.self_attention", "encoder.self_attention"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (AblateHead(CROSS, 2, 0), r"ablate_head: layer = 2; allowed are the whole numbers 0 to 1"),
        (AblateHead(ENCODER, 1, 0), r"layer = 1; allowed are the whole numbers 0 to 0"),
        (AblateHead(CROSS, 0, 3), r"head = 3; allowed are the whole numbers 0 to 2"),
        (AblateHead(CROSS, 0, -1), r"head = -1"),
        (AblateHead(CROSS, 0, True), r"head = True"),
        (SetAttention(CROSS, 0, 0, 3, (1, 0, 0)), r"set_attention: row = 3; allowed are the whole numbers 0 to 2"),
        (SetAttention(CROSS, 0, 0, 0, (1, 0)), r"2 weights for 3 columns of decoder\.0\.cross_attention"),
        (SetAttention(CROSS, 0, 0, 0, (0.5, 0.25, 0)), r"sum to 0\.75; they must sum to 1"),
        (SetAttention(CROSS, 0, 0, 0, (1.5, -0.5, 0)), r"weights\[1\] = -0\.5; weights must be finite"),
        (SetAttention(CROSS, 0, 0, 0, (float("nan"), 1, 0)), r"weights\[0\] = nan"),
        (SetAttention(OWN, 0, 0, 1, (0, 0.5, 0.5)), r"row 1 .* can attend to columns 0 to 1 only"),
        (ZeroValue(3), r"zero_value: position = 3; allowed are the whole numbers 0 to 2"),
        ("no edit", r"edits\[0\] is of type str; give AblateHead, SetAttention or ZeroValue"),
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


@pytest.mark.parametrize(
    "edit", [AblateHead(CROSS, 1, 2, "mean"), SetAttention(OWN, 0, 1, 1, (0.5, 0.5, 0)), ZeroValue(1)]
)
def test_a_table_and_back(edit: Edit) -> None:
    assert edit_from(edit_to_table(edit)) == edit


@pytest.mark.parametrize("table", [{}, {"edit": "force"}, {"edit": "zero_value"}, {"edit": "zero_value", "x": 1}])
def test_a_table_that_is_no_edit_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=r"allowed are ablate_head, set_attention, zero_value|cannot be read"):
        edit_from(table)


def test_two_edits_of_one_site_act_together() -> None:
    edits = [AblateHead(CROSS, 0, 0), AblateHead(CROSS, 0, 1)]
    made = trace(TRANSLATOR, "ein Hund", target="a dog", edits=edits)
    assert not made["decoder.0.cross_attention.context"][:2].any()
    assert made["decoder.0.cross_attention.context"][2].any()
