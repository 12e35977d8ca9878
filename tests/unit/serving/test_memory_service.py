"""A memory in the service: exact matches are the answer, similar units are shown, and the answer says which."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import Shouter, client_of, pair_of

from pellucid.config.service import ServiceConfig
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.service import Service
from pellucid.translation.memory.units import TranslationMemory

pytest.importorskip("rapidfuzz")
PAIR = {"source": "de", "target": "en"}
STORED = TranslationMemory(
    [
        ("Der Hund bellt.", "The dog barks."),
        ("Eins. Zwei.", "One, two."),
        ("Ein Haus mit Garten.", "A house."),
        ("Der <g1>Hund</g1>", "Le <g1>chien</g1>"),
    ]
)


@pytest.fixture(scope="module")
def shouter() -> Shouter:
    return Shouter()


@pytest.fixture(scope="module")
def server(shouter: Shouter) -> Iterator[TestClient]:
    pool = ModelPool([pair_of(shouter, memory=STORED), pair_of(Shouter("en", "de"))])
    service = Service(pool, ServiceConfig())
    pool.open_what_fits()
    service._workers.start()
    with client_of(service) as client:
        yield client
    service.end()


def translated(server: TestClient, text: Any, **wish: object) -> Any:
    answer = server.post("/v1/translate", json={"text": text, "split_sentences": True, **PAIR, **wish})
    assert answer.status_code == 200, answer.text
    return answer.json()["translations"]


def test_exact_sentences_and_lines_are_the_memorys_and_the_rest_is_the_models(
    server: TestClient, shouter: Shouter
) -> None:
    shouter.calls.clear()
    found = translated(server, ["Der Hund bellt. Ja!\n  Eins. Zwei.", "Der  Hund bellt."])
    assert [one["text"] for one in found] == ["The dog barks. JA!\n  One, two.", "The dog barks."]
    assert [one["origin"] for text in found for one in text["sentences"]] == ["memory", "model", "memory", "memory"]
    assert shouter.calls == [["Ja!"]]


def test_similar_units_are_shown_and_never_used(server: TestClient) -> None:
    (found,) = translated(server, "Der Hund bellte.")
    assert found["text"] == "DER HUND BELLTE."
    (sentence,) = found["sentences"]
    assert (sentence["origin"], "memory_match" in sentence["flags"]) == ("model", True)
    (match,) = sentence["matches"]
    assert (match["target"], match["only_in_memory"], match["only_in_text"]) == (
        "The dog barks.", ["bellt"], ["bellte"],
    )  # fmt: skip
    assert 70 <= match["score"] < 100
    assert "matches" not in translated(server, "Der Hund bellte.", matches=0)[0]["sentences"][0]


def test_a_request_has_its_own_units_and_can_leave_out_the_stored_ones(server: TestClient) -> None:
    own = [{"source": "Der Hund bellt.", "target": "Woof."}]
    assert translated(server, "Der Hund bellt.", memory=own)[0]["text"] == "Woof."
    assert translated(server, "Der Hund bellt.", use_memory=False)[0]["text"] == "DER HUND BELLT."
    assert translated(server, "Der Hund bellt.", prefix="T")[0]["sentences"][0]["origin"] == "model"
    glossary = [{"source": "Hund", "target": "hound"}]
    assert translated(server, "Der Hund bellt.", glossary=glossary)[0]["sentences"][0]["origin"] == "model"
    for wrong in ({"source": "a"}, {"source": "a", "target": ""}, "a"):
        wish = {"text": "a", "memory": [wrong], **PAIR}
        assert "memory is a list" in server.post("/v1/translate", json=wish).json()["error"]


def test_the_memory_is_for_its_language_pair_only(server: TestClient) -> None:
    wish = {"text": "Der Hund bellt.", "source": "en", "target": "de"}
    assert server.post("/v1/translate", json=wish).json()["translations"][0]["text"] == "DER HUND BELLT."


def test_the_other_protocols_use_it_and_say_so_in_a_header(server: TestClient) -> None:
    libre = server.post("/translate", json={"q": ["Der Hund bellt.", "Ja"], **PAIR})
    assert libre.json() == {"translatedText": ["The dog barks.", "JA"]}
    deepl = server.post("/v2/translate", json={"text": ["Der Hund bellt."], "source_lang": "DE", "target_lang": "EN"})
    assert deepl.json()["translations"][0]["text"] == "The dog barks."
    opus = server.post("/api/translate", json={"from": "de", "to": "en", "source": "Ja"})
    origins = [one.headers["X-Translation-Origin"] for one in (libre, deepl, opus)]
    assert origins == ["memory=1, model=1", "memory=1", "model=1"]


def test_documents_and_tags_use_it_for_whole_segments(server: TestClient) -> None:
    page = b"<h1>Der <b>Hund</b></h1><p>Der Hund bellt.</p><p>Der Hund bellt. Ja!</p>"
    shouted = b"<h1>Le <b>chien</b></h1><p>The dog barks.</p><p>DER HUND BELLT. JA!</p>"
    own = {"file": ("a.html", page)}
    ours = server.post("/v1/document", data=PAIR, files=own)
    assert ours.content == shouted
    assert json.loads(ours.headers["X-Document-Report"])["origins"] == {"memory": 2, "model": 1}
    libre = server.post("/translate_file", data=PAIR, files=own)
    assert server.get(libre.json()["translatedFileUrl"]).content == shouted
    html = server.post("/translate", json={"q": page.decode(), "format": "html", **PAIR})
    assert html.json()["translatedText"] == shouted.decode()
    languages = {"source_lang": "DE", "target_lang": "EN"}
    deepl = server.post("/v2/translate", json={"text": [page.decode()], "tag_handling": "html", **languages})
    assert deepl.json()["translations"][0]["text"] == shouted.decode()
    handle = server.post("/v2/document", data=languages, files=own).json()
    path, key = f"/v2/document/{handle['document_id']}", {"document_key": handle["document_key"]}
    while server.post(path, json=key).json()["status"] == "translating":
        pass
    fetched = server.post(f"{path}/result", json=key)
    assert fetched.content == shouted
    assert {one.headers["X-Translation-Origin"] for one in (libre, html, deepl, fetched)} == {"memory=2, model=1"}


def test_a_stream_gives_what_the_memory_has_first(server: TestClient) -> None:
    wish = {"text": "Ja! Der Hund bellt.", "stream": True, "split_sentences": True, **PAIR}
    with server.stream("POST", "/v1/translate", json=wish) as answer:
        data = "".join(answer.iter_text())
    assert data.index("The dog barks.") < data.index("JA!")
    assert data.count("event: sentence") == 2
