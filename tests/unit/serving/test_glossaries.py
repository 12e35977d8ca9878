"""Glossaries of the service: of a request, by name, and those that clients of DeepL's protocol make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import Shouter, client_of, pair_of

from pellucid.config.service import ServedGlossary, ServiceConfig
from pellucid.errors import ConfigError
from pellucid.jobs.glossaries.reading import glossaries_of, terms_of
from pellucid.serving.glossaries.stored import Shelf
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.service import Service
from pellucid.translation.hypothesis import Translation

PAIR = {"source": "de", "target": "en"}
LANGUAGES = {"source_lang": "DE", "target_lang": "EN"}


class Termed(Shouter):
    """Remembers the terms of the last request, and can apply none for "Biene"."""

    terms: tuple[str, ...] = ()

    def with_terms(self, terms: Any) -> Self:
        self.terms = tuple(map(str, terms))
        return self

    def _translation(self, text: str, count: int, settings: dict[str, Any]) -> Translation:
        found = super()._translation(text, count, settings)
        return replace(found, flags=("terms",)) if "Biene" in text else found


@pytest.fixture(scope="module")
def termed() -> Termed:
    return Termed()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glossaries")
    (folder / "zoo.tsv").write_text("Hund\thound|hounds\tdog\nKatze\tcat\n", encoding="utf-8")
    return folder


def served(files: Path) -> list[ServedGlossary]:
    zoo = ServedGlossary(path=str(files / "zoo.tsv"), source="de", target="en")
    return [zoo, ServedGlossary(name="brands", keep=("Hund", "Acme  Cloud"))]


@pytest.fixture(scope="module")
def server(termed: Termed, files: Path) -> Iterator[TestClient]:
    pool = ModelPool([pair_of(termed), pair_of(Shouter("en", "de"))])
    shelf = Shelf(glossaries_of(served(files), list(pool.pairs)), folder=files / "made")
    service = Service(pool, ServiceConfig(), glossaries=shelf)
    pool.open_what_fits()
    service._workers.start()
    with client_of(service) as client:
        yield client
    service.end()


def test_a_request_has_terms_words_to_keep_and_names(server: TestClient, termed: Termed) -> None:
    def asked(**wish: object) -> Any:
        termed.terms = ()
        return server.post("/v1/translate", json={"text": "Hund", **PAIR, **wish})

    assert asked(glossaries="zoo", keep=["Katze"]).status_code == 200
    assert termed.terms == ("Katze: use Katze", "Hund: use hound | hounds, not dog")
    assert asked(glossaries=["brands", "zoo"]).status_code == 200
    assert termed.terms == ("Hund: use Hund", "Acme Cloud: use Acme Cloud", "Katze: use cat")
    for wrong, said in (
        ({"keep": [" "]}, "glossary"),
        ({"keep": "Hund", "glossary": [{"source": "Hund", "target": "dog"}]}, "two terms for 'Hund'"),
        ({"glossaries": [7]}, "glossaries is a text"),
        ({"glossaries": "cars"}, "no glossary 'cars' for de → en; there are: zoo, brands"),
        ({"glossaries": "zoo", "source": "en", "target": "de"}, "no glossary 'zoo' for en → de; there are: brands"),
    ):
        answer = asked(**wrong)
        assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    names = [(one["name"], one["source"], one["terms"]) for one in server.get("/v1/glossaries").json()]
    assert names == [("zoo", "de", 2), ("brands", "de", 2), ("brands", "en", 2)]


def test_documents_have_them_too_and_say_what_could_not_be_applied(server: TestClient, termed: Termed) -> None:
    own = {"file": ("a.txt", b"Biene\n")}
    inline = json.dumps([{"source": "Biene", "target": "bee"}])
    ours = server.post("/v1/document", data=PAIR | {"glossaries": "zoo", "keep": "Ab", "glossary": inline}, files=own)
    assert json.loads(ours.headers["X-Document-Report"])["flags"] == {"terms": 1}
    assert termed.terms[:2] == ("Biene: use bee", "Ab: use Ab")
    html = server.post("/translate", json={"q": "<b>Biene</b>", "format": "html", **PAIR})
    plain = server.post("/v2/translate", json={"text": ["Biene", "Hund"], **LANGUAGES})
    assert [one.headers["X-Terms-Not-Applied"] for one in (html, plain)] == ["1", "1"]
    assert "X-Terms-Not-Applied" not in server.post("/translate", json={"q": "Hund", **PAIR}).headers


def test_clients_of_deepl_see_those_of_the_server_and_cannot_delete_them(server: TestClient, termed: Termed) -> None:
    every = server.get("/v2/glossaries").json()["glossaries"]
    zoo = next(one for one in every if one["name"] == "zoo")
    assert server.get(f"/v2/glossaries/{zoo['glossary_id']}/entries").text == "Hund\thound\nKatze\tcat"
    assert server.delete(f"/v2/glossaries/{zoo['glossary_id']}").status_code == 403
    wish = {"text": ["Hund"], "glossary_id": zoo["glossary_id"]}
    assert server.post("/v2/translate", json=wish | LANGUAGES).status_code == 200
    assert termed.terms[0] == "Hund: use hound | hounds, not dog"
    other = server.post("/v2/translate", json=wish | {"source_lang": "EN", "target_lang": "DE"})
    assert (other.status_code, other.json()["message"]) == (400, "this glossary is for de → en")


def test_what_a_client_made_is_there_after_a_restart(server: TestClient, files: Path) -> None:
    wish = {"name": "mine", "entries": "Hund\tAb ü", "entries_format": "tsv", **LANGUAGES}
    ids = [server.post("/v2/glossaries", json=wish).json()["glossary_id"] for _ in range(2)]
    assert server.delete(f"/v2/glossaries/{ids[1]}").status_code == 204
    (again,) = Shelf(folder=files / "made").of("everyone")
    before = server.get(f"/v2/glossaries/{ids[0]}").json()
    assert (again.id, again.name, again.dictionaries[0].entries) == (ids[0], "mine", [("Hund", "Ab ü")])
    assert before["creation_time"].startswith(again.created.isoformat()[:19])
    assert (files / "made").stat().st_mode & 0o077 == 0
    assert not list(Shelf().of("everyone"))
    (files / "made" / f"{'0' * 32}.json").write_text("[]")
    with pytest.raises(ConfigError, match="is no glossary of a client"):
        Shelf(folder=files / "made")


def test_glossaries_that_are_for_nobody_or_for_anybody_are_refused(files: Path) -> None:
    pairs = [("de", "en"), ("en", "de")]
    zoo, brands = served(files)
    for wrong, said in (
        ([ServedGlossary(path=zoo.path)], "does not say its languages"),
        ([ServedGlossary(path=zoo.path, source="fr", target="it")], "which no model translates"),
        ([zoo, zoo], "have the name 'zoo'"),
        ([ServedGlossary(name="empty")], "has no terms"),
        ([ServedGlossary(keep=("a",))], "neither a path nor a name"),
        ([ServedGlossary(name="x", path=zoo.path, keep=("Hund",), source="de", target="en")], "two terms for 'Hund'"),
    ):
        with pytest.raises(ConfigError, match=said):
            glossaries_of(wrong, pairs)
    (alone,) = glossaries_of([ServedGlossary(path=zoo.path)], pairs[:1])
    assert [one.pair for one in alone.dictionaries] == [("de", "en")]
    assert len(glossaries_of([brands], pairs)) == 2
    from pellucid.config import TranslationConfig

    assert [*map(str, terms_of(zoo.path, ["Acme"], TranslationConfig()))][-1] == "Acme: use Acme"


def test_every_protocol_says_which_terms_a_translation_has_and_lacks(server: TestClient) -> None:
    entries = "Hund\thund\nBiene\tbee\nBaum\ttree"
    found = {"kept": ["Hund"], "missing": ["Biene"]}
    inline = [{"source": row.split("\t")[0], "target": row.split("\t")[1]} for row in entries.splitlines()]
    text = "Ein Hund. Eine Biene."
    ours = server.post("/v1/translate", json={"text": text, "glossary": inline, **PAIR}).json()["translations"][0]
    assert ours["terms"] == found
    assert server.post("/v1/translate", json={"text": text, **PAIR}).json()["translations"][0]["terms"]["kept"] == []
    made = server.post("/v2/glossaries", json={"name": "a", "entries": entries, "entries_format": "tsv", **LANGUAGES})
    wish = {"glossary_id": made.json()["glossary_id"], **LANGUAGES}
    plain = server.post("/v2/translate", json={"text": [text, "Haus"], **wish})
    tagged = server.post("/v2/translate", json={"text": f"<b>{text}</b>", "tag_handling": "xml", **wish})
    assert [json.loads(one.headers["X-Terms"]) for one in (plain, tagged)] == [found, found]
    assert "X-Terms" not in server.post("/v2/translate", json={"text": "Haus", **wish}).headers
    file = {"file": ("a.txt", text.encode())}
    document = server.post("/v1/document", data=PAIR | {"glossary": json.dumps(inline)}, files=file)
    assert json.loads(document.headers["X-Document-Report"])["terms"] == found
    sent = server.post("/v2/document", data=wish, files=file).json()
    path, key = f"/v2/document/{sent['document_id']}", {"document_key": sent["document_key"]}
    while server.post(path, data=key).json()["status"] == "translating":
        pass
    assert json.loads(server.post(f"{path}/result", data=key).headers["X-Terms"]) == found
