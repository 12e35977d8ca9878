"""Comparisons over HTTP: two traces of the server, a trace and the one before its edits, and the page of both."""

from __future__ import annotations

import json

import numpy as np

from pellucid.analysis.comparison.record import compare
from pellucid.page.answers_trace import make_record

from .kit import ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)
ONE = ask(SERVER, target="xy").json()
OTHER = ask(SERVER, "ab d", target="xyz").json()
AT = f"/api/traces/{ONE['id']}/beside/{OTHER['id']}"
SITE = "sites/decoder.1.cross_attention.weights"


def test_the_answer_is_the_comparison_of_python() -> None:
    first, second = (
        make_record(OPENED, source, trace_id="t", target=target).trace
        for source, target in (("ab c", "xy"), ("ab d", "xyz"))
    )
    expected = compare(first, second)
    answer = json.loads(SERVER.get(AT).content)
    assert answer["divergence"] == expected.divergence == 2
    assert answer["source"]["pairs"] == [list(pair) for pair in expected.plan.source.pairs]
    assert answer["target"]["only_second"] == list(expected.plan.target.only_second)
    assert answer["second"]["text"] == "xyz"
    assert answer["heads_by"] == "number"
    keys = ("kind", "layer", "head", "row")
    found = {tuple(one[key] for key in keys): one["change"] for one in answer["heads"]}
    wanted = {(one.kind.short, one.layer, one.head, one.row): one.change for one in expected.heads}
    assert found.keys() == wanted.keys()
    np.testing.assert_allclose([found[key] for key in wanted], list(wanted.values()), rtol=1e-6)
    np.testing.assert_allclose(answer["step_log_probabilities"], expected.step_log_probabilities, rtol=1e-6)
    for stack in ("encoder", "decoder"):
        np.testing.assert_allclose(
            answer["states"][stack]["distances"], list(expected.states(stack).values()), rtol=1e-6, atol=1e-7
        )


def test_the_numbers_of_the_other_trace_are_under_the_first_one() -> None:
    own = SERVER.get(f"/api/traces/{OTHER['id']}/{SITE}")
    assert SERVER.get(f"{AT}/{SITE}").content == own.content
    assert SERVER.get(f"{AT}/{SITE}").headers["x-shape"] == own.headers["x-shape"]


def test_a_trace_is_compared_with_the_one_before_its_edits() -> None:
    after = ask(SERVER, target="xy", edits=["decoder.1.cross_attention.head.2=zero"]).json()
    answer = json.loads(SERVER.get(f"/api/traces/{after['id']}/beside/before").content)
    assert answer["first"]["edits"] == [], "before comes first"
    assert answer["second"]["edits"] == after["provenance"]["edits"]
    assert SERVER.get(f"{AT.rpartition('/')[0]}/before").status_code == 404


def test_what_is_not_there_is_refused() -> None:
    assert SERVER.get(f"{AT}?row=1").status_code == 400
    assert SERVER.get(f"/api/traces/{ONE['id']}/beside/nobody").status_code == 410
    assert SERVER.get(f"{AT}/nothing").status_code == 404


def test_the_exported_page_has_the_comparison() -> None:
    page = SERVER.get(f"/export/{ONE['id']}.html?beside={OTHER['id']}").text
    assert 'data-start="view=compare"' in page
    assert page.count("/beside/") == 1 + 1 + 2 * 2, "the comparison, and the attention of the other trace"
    assert ONE["id"] not in page
    assert OTHER["id"] not in page
    assert "/beside/" not in SERVER.get(f"/export/{ONE['id']}.html").text
