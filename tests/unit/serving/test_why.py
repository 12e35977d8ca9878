"""Why a piece was written, over HTTP: the numbers of the analysis to the last digit of a float32, within limits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pellucid.analysis.alignment import Unit, links_of_trace
from pellucid.analysis.attribution.methods import attribute_trace
from pellucid.analysis.attribution.record import Method
from pellucid.analysis.lens import logit_lens
from pellucid.page import answers_why
from pellucid.page.answers_trace import make_record
from pellucid.serving.traces import ClientGoneError
from pellucid.tracing.record import Trace

from .kit import ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)
MADE = ask(SERVER).json()
AT = f"/api/traces/{MADE['id']}"
STEP = 1
OTHER = 40


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_record(OPENED, "ab c", trace_id="t").trace


def table(path: str, **query: object) -> Any:
    answer = SERVER.get(f"{AT}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def same(found: object, expected: np.ndarray) -> bool:
    return np.array_equal(np.float32(found), np.float32(expected))


@pytest.mark.parametrize(
    "query",
    [
        *({"method": method} for method in (Method.ALTI_LOGIT, Method.ALTI, Method.OCCLUSION)),
        *({"method": method, "step": STEP} for method in Method),
        *({"method": method, "step": STEP, "against_id": OTHER} for method in Method if method is not Method.ALTI),
        {"method": Method.INTEGRATED_GRADIENTS, "step": STEP, "points": 7},
    ],
    ids=lambda query: " ".join(map(str, query.values())),
)
def test_the_parts_are_those_of_python(trace: Trace, query: dict[str, Any]) -> None:
    found = table("why", **query)
    own = {("against" if name == "against_id" else name): value for name, value in query.items()}
    expected = attribute_trace(trace, **own)
    assert found["method"] == expected.method
    assert (found["steps"], found["pieces"]) == (list(expected.steps), list(expected.pieces))
    assert (found["against"], found["points"]) == (expected.against, expected.points)
    for name in ("source", "target", "score", "sum"):
        assert same(found[name], getattr(expected, name)), name
    assert (found["expected_sum"] is None) == (expected.expected_sum is None)
    assert expected.expected_sum is None or same(found["expected_sum"], expected.expected_sum)


def test_another_piece_is_named_by_its_text_or_its_id(trace: Trace) -> None:
    assert trace.translator is not None
    piece = trace.translator.tokenizer.target_pieces([OTHER])[0]
    by_text, by_id = (table("why", step=STEP, **one) for one in ({"against": piece}, {"against_id": OTHER}))
    assert by_text == by_id
    assert by_id["against"] == piece


def test_the_lens_ends_with_what_the_model_predicts(trace: Trace) -> None:
    found, lens = table("lens", step=STEP), logit_lens(trace, top=5)
    assert found["sites"] == list(lens.sites)
    assert found["top_ids"] == lens.top_ids[:, STEP].tolist()
    assert found["rank"] == lens.target_rank[:, STEP].tolist()
    for name, expected in (
        ("top_log_probabilities", lens.top_log_probabilities),
        ("log_probability", lens.target_log_probability),
        ("entropy", lens.entropy),
    ):
        np.testing.assert_allclose(found[name], expected[:, STEP], atol=1e-5)
    assert found["log_probability"][-1] == pytest.approx(MADE["predictions"]["target_log_probability"][STEP], abs=1e-6)
    assert found["top_ids"][-1] == MADE["predictions"]["top_ids"][STEP][:5]


@pytest.mark.parametrize("unit", Unit)
def test_the_links_are_those_of_python(trace: Trace, unit: Unit) -> None:
    found, expected = table("align", unit=unit), links_of_trace(trace, unit=unit)
    assert found["source_words"] == list(expected.source_words)
    as_lists = json.loads(
        json.dumps({"heads": expected.heads, "means": expected.means, "alti": expected.contributions})
    )
    assert {name: found[name] for name in as_lists} == as_lists
    assert found["named"] is None


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("why", {"method": "attention"}, "method = 'attention'"),
        ("why", {"step": 99}, "step = '99'; allowed are whole numbers from 0"),
        ("why", {"step": STEP, "against": "x", "against_id": 3}, "give one of them"),
        ("why", {"step": STEP, "against": "x" * 101}, "101 characters"),
        ("why", {"against_id": 3}, "give the step"),
        ("why", {"step": STEP, "points": 9}, "points = 9 has an effect on method 'integrated_gradients' only"),
        ("why", {"method": "integrated_gradients", "points": 4096}, "the limit on this page is"),
        ("why", {"method": "alti", "step": STEP, "against_id": 3}, "use method 'alti_logit'"),
        ("why", {"head": 1}, "unknown parameter 'head'"),
        ("lens", {}, "give step"),
        ("lens", {"step": 99}, "step = '99'"),
        ("align", {"unit": "letters"}, "unit = 'letters'"),
    ],
)
def test_what_cannot_be_asked_is_refused(path: str, query: dict[str, object], says: str) -> None:
    answer = SERVER.get(f"{AT}/{path}", params=query)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_the_work_is_limited_before_it_begins_and_ends_with_its_client(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise ClientGoneError

    with pytest.raises(ClientGoneError):
        answers_why.why_answer(trace, {"method": "occlusion", "step": "1"}, between_passes=gone)
    monkeypatch.setattr(answers_why, "MOST_POSITIONS", 40)
    refused = SERVER.get(f"{AT}/why", params={"method": "occlusion", "step": STEP})
    assert (refused.status_code, "over 5 source pieces" in refused.json()["error"]) == (400, True)
    assert SERVER.get(f"{AT}/why", params={"method": "alti_logit", "step": STEP}).status_code == 200


def test_the_trace_before_edits_has_the_same_paths(trace: Trace) -> None:
    after = ask(SERVER, edits=["decoder.1.cross_attention.head.2=zero"], before=MADE["id"]).json()
    path = f"/api/traces/{after['id']}"
    query = {"method": "value_zeroing", "step": STEP}
    before = SERVER.get(f"{path}/before/why", params=query).json()
    assert same(before["source"], attribute_trace(trace, method="value_zeroing", step=STEP).source)
    assert SERVER.get(f"{path}/why", params=query).json()["source"] != before["source"]
    assert "leave the edit out" in SERVER.get(f"{path}/why").json()["error"], "ALTI+ cannot split what is left"
    links = SERVER.get(f"{path}/align").json()
    assert links["alti"] is None
    assert links["heads"]["writes"]
    tree = SERVER.get(f"{path}/before/search")
    assert tree.json()["nodes"] == SERVER.get(f"/api/traces/{MADE['id']}/search").json()["nodes"]
    assert SERVER.get(f"/api/traces/{MADE['id']}/before/search").status_code == 404
