"""Edits over HTTP: the trace after them, what they change, and the trace before; wrong ones are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pellucid.analysis.effect import edit_trace
from pellucid.page.answers_trace import make_record

from .kit import ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)
BEFORE = ask(SERVER).json()
EDITS = ["decoder.1.cross_attention.head.2=zero", "encoder.0.feed_forward=mean"]
AFTER = ask(SERVER, edits=EDITS, before=BEFORE["id"]).json()
AT = f"/api/traces/{AFTER['id']}"


def test_the_trace_after_edits_is_that_of_python() -> None:
    effect = edit_trace(make_record(OPENED, "ab c", trace_id="t").trace, EDITS)
    assert AFTER["text"] == effect.after.text
    assert AFTER["provenance"]["edits"] == EDITS
    answer = json.loads(SERVER.get(f"{AT}/effect").content)
    for name in ("old_before", "old_after", "new_before", "new_after"):
        np.testing.assert_allclose(answer[name], getattr(effect, name), rtol=1e-5, atol=1e-6)
    assert answer["divergence"] == effect.divergence
    assert answer["text"] == BEFORE["text"]


def test_the_trace_before_is_under_the_trace_after() -> None:
    site = "sites/decoder.1.cross_attention.weights"
    before = SERVER.get(f"/api/traces/{BEFORE['id']}/{site}")
    assert SERVER.get(f"{AT}/before/{site}").content == before.content != SERVER.get(f"{AT}/{site}").content
    manifest = SERVER.get(f"{AT}/before").json()
    assert manifest["id"] == f"{AFTER['id']}/before", "a path below which everything of it is found"
    assert {**manifest, "id": "", "seconds": 0} == {**BEFORE, "id": "", "seconds": 0}
    # the server makes it again if nobody names it
    alone = ask(SERVER, edits=EDITS).json()
    assert SERVER.get(f"/api/traces/{alone['id']}/before/{site}").content == before.content
    assert SERVER.get(f"/api/traces/{BEFORE['id']}/effect").status_code == 404
    assert SERVER.get(f"/api/traces/{BEFORE['id']}/before/{site}").status_code == 404


def test_all_heads_are_one_answer() -> None:
    answer = SERVER.get(f"/api/traces/{BEFORE['id']}/head_effects")
    heads, steps = map(int, answer.headers["x-shape"].split(","))
    assert steps == len(BEFORE["tokens"]["fed_pieces"])
    effects = make_record(OPENED, "ab c", trace_id="t").head_effects
    assert (answer.content, (heads, steps)) == (effects.body, effects.shape)


@pytest.mark.parametrize(
    ("wish", "status", "says"),
    [
        ({"edits": ["nonsense"]}, 400, "has no '='"),
        ({"edits": "encoder.0.feed_forward=zero"}, 400, "must be a list of texts or null"),
        ({"edits": [3]}, 400, "must be a list of texts or null"),
        ({"edits": ["encoder.7.feed_forward=zero"]}, 400, "layer = 7; allowed are"),
        ({"edits": ["encoder.0.feed_forward=mean:sample"]}, 400, "known here: none"),
        ({"edits": EDITS, "before": "gone"}, 410, "no longer stored"),
        ({"edits": EDITS, "before": AFTER["id"]}, 400, "another sentence or with edits"),
        ({"edits": [], "before": BEFORE["id"]}, 400, "another sentence or with edits"),
        ({"edits": [f"step.{step}=a" for step in range(400)]}, 400, "has more than 200 edits"),
    ],
)
def test_wrong_edits_are_refused(wish: dict[str, object], status: int, says: str) -> None:
    answer = ask(SERVER, **wish)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_a_word_that_is_no_piece_comes_with_its_pieces() -> None:
    made = ask(SERVER, edits=['step.0="ab"']).json()
    assert made["text"].startswith("ab")
    effect = json.loads(SERVER.get(f"/api/traces/{made['id']}/effect").content)
    assert effect["written"] == {'step.0="ab"': ["<0x61>", "<0x62>"]}


def test_a_refusal_names_the_edits_that_cannot_be_applied() -> None:
    misfits = ["encoder.7.feed_forward=zero", "decoder.0.self_attention.head.99=mean"]
    for wrong, says in (
        (["nonsense"], "has no '='"),
        (misfits, "allowed are"),
        (["word.40=drop"], "the sentence has words 0 to"),
        (["step.90=a"], "has steps 0 to"),
        (["decoder.1.self_attention.head.0.row.90=zero"], "row = 90"),
    ):
        answer = ask(SERVER, edits=[*EDITS, *wrong]).json()
        assert [edit for edit, _ in answer["edits"]] == wrong
        assert all(says in reason and reason in answer["error"] for _, reason in answer["edits"])
    pair = ['step.0="a"', 'step.0="b"']
    refused = ask(SERVER, edits=[*EDITS, *pair]).json()
    assert [edit for edit, _ in refused["edits"]] == pair[1:], "the others can be applied without it"
    assert all(edit in refused["error"] for edit in pair)
    given = ask(SERVER, target="ab", edits=[*EDITS, 'ban="a"']).json()
    assert [edit for edit, _ in given["edits"]] == ['ban="a"'], "it cannot change a given translation"
    assert "edits" not in ask(SERVER, source=" ", edits=EDITS).json(), "the sentence is wrong, not an edit"


def test_a_search_that_would_block_the_server_is_refused() -> None:
    forced = [f"step.{step}=a" for step in range(150)]
    settings = {"beam_size": 20, "max_length_constant": 200}
    assert "the limit on this page" in ask(SERVER, edits=forced, settings=settings).json()["error"]
