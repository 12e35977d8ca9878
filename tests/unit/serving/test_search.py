"""The tree of a search over HTTP: the numbers of the tree, bounded, and traces of its nodes."""

from __future__ import annotations

import pytest

from pellucid.tracing.searching.making import search_tree

from .kit import ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)


def test_the_answer_is_the_tree() -> None:
    of_trace = f"/api/traces/{ask(SERVER).json()['id']}/search"
    settings: dict[str, object] = {"beam_size": 3, "length_penalty": "gnmt", "alpha": 0.5}
    for query, own, reference in (
        ({}, {}, None),
        (settings, settings, "ab"),
        ({"sampling": "true"}, {"sampling": True}, None),
    ):
        answer = SERVER.get(of_trace, params={**query, **({"reference": reference} if reference else {})})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        tree = search_tree(OPENED.translator, "ab c", settings=own, reference=reference)
        assert found["method"] == tree.method
        assert found["nodes"]["parent"] == [node.parent for node in tree.nodes]
        assert found["nodes"]["outcome"] == [node.outcome for node in tree.nodes]
        for name in ("log_probability", "total", "score"):
            assert found["nodes"][name] == pytest.approx([getattr(node, name) for node in tree.nodes], rel=1e-6)
        assert [one["node"] for one in found["hypotheses"]] == [one.node for one in tree.hypotheses]
        assert found["winner"] == list(tree.winner)
        assert found["settings"]["beam_size"] == (own.get("beam_size") or (2 if not own.get("sampling") else 5))
        assert (found["reference"] is None) == (reference is None)
        assert ("narrowed" in found["nodes"]) == bool(own.get("sampling"))


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"beam_size": "51"}, "settings.beam_size = 51; the limit on this page is 50"),
        ({"beam_size": "two"}, "beam_size = 'two' is not a value of this setting"),
        ({"sampling": "maybe"}, "sampling = 'maybe'"),
        ({"n_best": "2"}, "n_best"),
        ({"alpha": "-1"}, "alpha"),
        ({"reference": "a" * 5000}, "5,000 characters"),
        ({"sampling": "true", "reference": "a"}, "cannot miss a reference"),
    ],
)
def test_what_cannot_be_searched_is_refused(query: dict[str, str], problem: str) -> None:
    answer = SERVER.get(f"/api/traces/{ask(SERVER).json()['id']}/search", params=query)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


def test_a_node_is_traced_by_its_ids() -> None:
    trace = ask(SERVER).json()
    tree = search_tree(OPENED.translator, "ab c", settings={"beam_size": 3})
    node = next(node for node in tree.nodes if node.step == 2)
    ids = list(tree.ids(node.number))
    opened = ask(SERVER, target_ids=ids)
    assert opened.status_code == 201
    assert opened.json()["tokens"]["predicted_ids"] == ids
    assert opened.json()["log_probability"] == pytest.approx(node.total, rel=1e-5)
    assert not opened.json()["is_searched"]
    again = SERVER.get(f"/api/traces/{opened.json()['id']}/search").json()
    assert again["winner"] == SERVER.get(f"/api/traces/{trace['id']}/search").json()["winner"]
    for wrong in (["a"], [True], [10_000], []):
        assert ask(SERVER, target_ids=wrong).status_code == 400
    assert ask(SERVER, target_ids="1,2").status_code == 400
    assert ask(SERVER, target_ids=ids, target="ab").status_code == 400
