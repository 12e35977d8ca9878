"""The protocols of the service, word for word: LibreTranslate, DeepL, OPUS-MT, and ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import Shouter, client_of, service_of

from pellucid.serving.access.keys import sha256_of

PAIR = {"source": "de", "target": "en"}


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    with service_of(Shouter(), Shouter("en", "de")) as service, client_of(service) as client:
        yield client


def libre(server: TestClient, **wish: object) -> tuple[int, Any]:
    answer = server.post("/translate", json=wish)
    return answer.status_code, answer.json()


def test_libretranslate_text_list_alternatives_and_detection(server: TestClient) -> None:
    assert libre(server, q="ab", **PAIR) == (200, {"translatedText": "AB"})
    assert libre(server, q=["ab", "c\n\n d"], **PAIR) == (200, {"translatedText": ["AB", "C\n\n D"]})
    found = {"translatedText": "AB", "alternatives": ["AB!", "AB!!"]}
    assert libre(server, q="ab", alternatives=2, **PAIR) == (200, found)
    texts = ["Der schnelle braune Fuchs springt über den Hund.", "The quick brown fox jumps over the dog.", "…"]
    pytest.importorskip("py3langid")
    status, answer = libre(server, q=texts, source="auto", target="en")
    # What is in the target language already stays as it is.
    assert (status, answer["translatedText"]) == (200, [texts[0].upper(), texts[1], texts[2]])
    assert [one["language"] for one in answer["detectedLanguage"]][:2] == ["de", "en"]
    status, answer = libre(server, q=texts[:1], source="auto", target="en")
    assert answer["detectedLanguage"][0]["language"] == "de"
    assert 0 < answer["detectedLanguage"][0]["confidence"] <= 100


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"source": "de", "target": "en"}, "Invalid request: missing q parameter"),
        ({"q": "", "source": "de", "target": "en"}, "Invalid request: missing q parameter"),
        ({"q": [], "source": "de", "target": "en"}, "Invalid request: missing q parameter"),
        ({"q": "a", "target": "en"}, "Invalid request: missing source parameter"),
        ({"q": "a", "source": "de"}, "Invalid request: missing target parameter"),
        ({"q": "a", "source": "zz", "target": "en"}, "zz is not supported"),
        ({"q": "a", "source": "de", "target": "zz"}, "zz is not supported"),
        ({"q": "a", "source": "fr", "target": "de"}, "fr is not supported"),
        ({"q": "a", "format": "docx", **PAIR}, "docx format is not supported"),
        ({"q": "a", "alternatives": "x", **PAIR}, "Invalid request: alternatives parameter is not a number"),
        ({"q": "a", "alternatives": 11, **PAIR}, "Invalid request: alternatives parameter must be <= 10"),
        ({"q": "a" * 10_001, **PAIR}, "Invalid request: request (10001) exceeds text limit (10000)"),
        ({"q": ["a"] * 129, **PAIR}, "Invalid request: request (129) exceeds text limit (128)"),
    ],
)
def test_libretranslate_errors(server: TestClient, wish: dict[str, Any], message: str) -> None:
    # A2 among them: one over each limit.
    assert libre(server, **wish) == (400, {"error": message})


def test_libretranslate_forms_queries_and_bad_bodies(server: TestClient) -> None:
    form = {"q": "a\r\nb", "api_key": "", **PAIR}
    assert server.post("/translate", data=form).json() == {"translatedText": "A\nB"}
    assert server.post("/translate", params=form | {"format": "text"}).json() == {"translatedText": "A\nB"}
    for body in (b"[1]", b"{", b"[" * 100_000):
        answer = server.post("/translate", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON format"})
    for answer, status in (
        (server.post("/translate", content=b"x", headers={"Content-Type": "text/xml"}), 415),
        (server.get("/translate"), 405),
        (server.post("/nothing"), 404),
    ):
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_libretranslate_lists(server: TestClient) -> None:
    assert server.get("/languages", headers={"Content-Type": "application/x-www-form-urlencoded"}).json() == [
        {"code": "de", "name": "German", "targets": ["de", "en"]},
        {"code": "en", "name": "English", "targets": ["de", "en"]},
    ]
    settings = server.get("/frontend/settings").json()
    assert (settings["charLimit"], settings["keyRequired"]) == (10_000, False)
    assert server.get("/health").json() == {"status": "ok"}
    assert server.post("/suggest", data={"q": "a", "s": "b", **PAIR}).status_code == 403
    pytest.importorskip("py3langid")
    found = server.post("/detect", data={"q": "Der schnelle braune Fuchs springt über den faulen Hund."}).json()
    assert found[0]["language"] == "de"
    assert server.post("/detect", json={"q": "…"}).json() == [{"confidence": 0.0, "language": "en"}]


@pytest.mark.parametrize(("code", "known"), [("de-AT", "de"), ("DE", "de"), ("de_DE", "de"), ("deu", "de")])
def test_codes_of_languages_are_read_in_every_form(server: TestClient, code: str, known: str) -> None:
    assert libre(server, q="a", source=code, target="en-GB") == (200, {"translatedText": "A"})


def test_a_text_in_the_target_language_stays_as_it_is(server: TestClient) -> None:
    page = "<p>A &amp; <b>b</b></p>"
    for code in ("en", "en-GB"):
        assert libre(server, q=page, source="en", target=code, format="html") == (200, {"translatedText": page})
        assert libre(server, q="a", source=code, target="en") == (200, {"translatedText": "a"})
    for wish in ({"text": ["a"]}, {"text": [page], "tag_handling": "html"}):
        answer = server.post("/v2/translate", json=wish | {"source_lang": "EN", "target_lang": "EN-US"})
        (found,) = answer.json()["translations"]
        assert (found["text"], found["detected_source_language"]) == (wish["text"][0], "EN")


def test_deepl_detects_the_target_language_among_several() -> None:
    pytest.importorskip("py3langid")
    english, french = "The quick brown fox jumps over the dog.", "Le chien dort dans la maison depuis ce matin."
    with service_of(Shouter(), Shouter("fr", "en")) as service, client_of(service) as client:
        answer = client.post("/v2/translate", json={"text": [english, french], "target_lang": "EN-US"})
    found = [(one["detected_source_language"], one["text"]) for one in answer.json()["translations"]]
    assert found == [("EN", english), ("FR", french.upper())]


CHINESE = "这是一个测试。今天天气很好。"
NOT_SERVED = [CHINESE, "你好", "Привет, как дела?", "El informe anual se presentará mañana.", "Ik heb een grote hond."]


@pytest.mark.parametrize("given", NOT_SERVED)
def test_a_text_in_a_language_that_no_model_reads_is_refused(given: str) -> None:
    pytest.importorskip("py3langid")
    html = {"q": f"<p>{given}</p>", "format": "html"}
    with service_of(Shouter(), Shouter("fr", "en")) as service, client_of(service) as client:
        answers = [
            client.post("/translate", json={"q": given, "source": "auto", "target": "en"}),
            client.post("/translate", json=html | {"source": "auto", "target": "en"}),
            client.post("/v2/translate", json={"text": [given], "target_lang": "EN-US"}),
            client.post("/v1/translate", json={"text": given, "source": "auto", "target": "en"}),
            client.post("/api/translate", json={"source": given, "from": "detect", "to": "en"}),
            client.post("/translate_file", files={"file": ("a.txt", given)}, data={"source": "auto", "target": "en"}),
        ]
    for answer in answers:
        (said,) = answer.json().values()
        assert answer.status_code == 400
        assert said.startswith("the text seems to be in ")
        assert "German (de), French (fr)" in said
    assert given != CHINESE or "Chinese (zh)" in said


def test_a_text_in_a_language_that_the_only_model_does_not_read_is_refused_by_deepl(server: TestClient) -> None:
    pytest.importorskip("py3langid")
    refused = server.post("/v2/translate", json={"text": [CHINESE], "target_lang": "EN-US"})
    assert refused.status_code == 400
    assert "seems to be in Chinese (zh)" in refused.json()["message"]
    named = server.post("/v2/translate", json={"text": [CHINESE], "target_lang": "EN-US", "source_lang": "DE"})
    assert named.status_code == 200, "who names a language is believed"


@pytest.mark.parametrize("given", ["Hallo", "OK", "ab", "Szczebrzeszyn", "Jan Kowalski", "Der Hund", "Bonjour", "42"])
def test_a_text_too_short_to_tell_is_translated(given: str) -> None:
    pytest.importorskip("py3langid")
    with service_of(Shouter(), Shouter("fr", "en")) as service, client_of(service) as client:
        status, answer = libre(client, q=given, source="auto", target="en")
    assert (status, answer["translatedText"]) == (200, given.upper())
    assert answer["detectedLanguage"]["language"] in ("de", "fr") or given == "42"


def test_nothing_is_refused_where_the_detector_does_not_know_the_languages_of_the_models() -> None:
    pytest.importorskip("py3langid")
    with service_of(Shouter("de", "en"), Shouter("xx", "en")) as service, client_of(service) as client:
        assert libre(client, q=CHINESE, source="auto", target="en")[0] == 200


def test_deepl(server: TestClient) -> None:
    wish = {"text": ["ab.", "c"], "target_lang": "EN-US"}
    for answer in (server.post("/v2/translate", json=wish), server.post("/v2/translate", data=wish)):
        first, second = answer.json()["translations"]
        assert (first, second["text"]) == ({"detected_source_language": "DE", "text": "AB."}, "C")
    refused = server.post("/v2/translate", json={"text": ["a"], "target_lang": "XX"})
    assert (refused.status_code, refused.json()["message"]) == (400, "Value for 'target_lang' not supported.")
    assert server.post("/v2/translate", json={"target_lang": "EN"}).json() == {
        "message": "Parameter 'text' not specified."
    }
    large = server.post("/v2/translate", json={"text": ["a" * (128 << 10)], "target_lang": "EN"})
    assert (large.status_code, list(large.json())) == (413, ["message"])


def test_deepl_glossaries_belong_to_their_client() -> None:
    keys = [{"name": name, "sha256": sha256_of(name)} for name in ("one", "two")]
    mine, other = ({"Authorization": f"DeepL-Auth-Key {name}"} for name in ("one", "two"))
    with service_of(Shouter(), keys=keys) as service, client_of(service) as client:
        wish = {"name": "g", "source_lang": "DE", "target_lang": "EN", "entries": "Hund\thound\nKatze\tcat"}
        made = client.post("/v2/glossaries", json=wish | {"entries_format": "tsv"}, headers=mine)
        assert (made.status_code, made.json()["entry_count"]) == (201, 2)
        place = f"/v2/glossaries/{made.json()['glossary_id']}"
        assert client.get(place, headers=other).status_code == 404
        assert client.get(f"{place}/entries", headers=mine).text == "Hund\thound\nKatze\tcat"
        use = {"text": ["a"], "target_lang": "EN", "glossary_id": made.json()["glossary_id"]}
        assert client.post("/v2/translate", json=use, headers=mine).status_code == 400
        assert client.post("/v2/translate", json=use | {"source_lang": "DE"}, headers=mine).status_code == 200
        assert client.delete(place, headers=mine).status_code == 204
        assert client.get("/v2/glossaries", headers=mine).json() == {"glossaries": []}
        for entries in ("", "Hund", "\tx", "a\tb\na\tc"):
            assert client.post("/v2/glossaries", json=wish | {"entries": entries}, headers=mine).status_code == 400


def test_opus_mt_and_the_plugins_of_omegat(server: TestClient) -> None:
    assert server.post("/api/translate", json={"from": "de", "to": "en", "source": "a b"}).json() == {
        "translation": "A B"
    }
    query = {"source": "de-DE", "target": "en-US", "text": "a b"}
    assert server.get("/api/translate", params=query).json() == {"translation": "A B"}
    assert server.get("/api/languages").json() == {"de": ["en"], "en": ["de"]}
    assert server.get("/api/ready").status_code == 204


def test_v1_says_everything_of_a_translation(server: TestClient) -> None:
    wish = {"text": "Ab oda! Efa.", "n_best": 2, "tokens": True, "alignment": True, "split_sentences": True, **PAIR}
    found = server.post("/v1/translate", json=wish).json()
    assert (found["model"]["name"], found["source"], found["target"]) == ("toy", "de", "en")
    (translation,) = found["translations"]
    assert (translation["text"], translation["alternatives"]) == ("AB ODA! EFA.", ["AB ODA!! EFA.!"])
    first, second = translation["sentences"]
    assert (first["source"], first["source_span"], second["source_span"]) == ("Ab oda!", [0, 7], [8, 12])
    assert first["alignment"]["links"] == [[0, 0], [1, 1]]
    best = first["alternatives"][0]
    assert sum(token["log_probability"] for token in best["tokens"]) == best["log_probability"]
    assert "tokens" not in server.post("/v1/translate", json={"text": "a", **PAIR}).text
    whole = server.post("/v1/translate", json=wish | {"split_sentences": False}).json()
    assert len(whole["translations"][0]["sentences"]) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"beam": 2}, "'beam' is unknown"),
        ({"beam_size": 17}, "<= 16"),
        ({"n_best": 12}, "<= 11"),
        ({"n_best": 5, "beam_size": 2}, "n_best = 5 is more than beam_size = 2"),
        ({"text": ["a", "b"], "prefix": "A"}, "prefix is for one text"),
        ({"glossary": [{"source": " "}]}, "glossary"),
        ({"placeholders": "drop"}, "placeholders is 'keep' or 'translate'"),
        ({"priority": "high"}, "priority is 'interactive' or 'bulk'"),
        ({"alignment": "perhaps"}, "alignment parameter must be true or false"),
        ({"text": 7}, "text is missing"),
    ],
)
def test_v1_refuses_what_it_does_not_know(server: TestClient, changes: dict[str, Any], said: str) -> None:
    answer = server.post("/v1/translate", json={"text": "a", **PAIR} | changes)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_v1_streams_each_sentence_and_then_the_text(server: TestClient) -> None:
    wish = {"text": ["Ab. Cd.", "…"], "stream": True, "split_sentences": True, **PAIR}
    with server.stream("POST", "/v1/translate", json=wish) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in "".join(answer.iter_text()).split("\n") if line]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert sorted(names[:-1]) == ["sentence", "sentence", "sentence", "text", "text"]
    assert names[-1] == "end"
    texts = {one["number"]: one["text"] for name, one in zip(names, data, strict=True) if name == "text"}
    assert texts == {0: "AB. CD.", 1: "…"}


def test_v1_completes_what_is_typed() -> None:
    from tests.unit.serving.test_service import tiny

    translator = tiny()
    with service_of(translator) as service, client_of(service) as client:
        wish = {"text": "ab", "prefix": "c", "count": 3, **PAIR}
        words = client.post("/v1/complete", json=wish).json()["words"]
        expected = translator.alternatives("ab", "c", 3)
        assert [(one["word"], one["text"]) for one in words] == [(one.word, one.text) for one in expected]
        refused = client.post("/v1/complete", json=wish | {"text": "…"})
        assert (refused.status_code, "nothing to translate" in refused.json()["error"]) == (400, True)


def test_a_text_in_the_target_language_stays_as_it_is_in_every_protocol(server: TestClient) -> None:
    """So it does where the languages are the same, where one is a variant, and in documents."""
    both = {"source": "en", "target": "en-GB"}
    assert libre(server, q="ab", **both) == (200, {"translatedText": "ab"})
    html = {"q": "<b>ab</b>", "format": "html", **both}
    assert server.post("/translate", json=html).json() == {"translatedText": "<b>ab</b>"}
    deepl = server.post("/v2/translate", json={"text": ["ab"], "source_lang": "EN", "target_lang": "EN-US"})
    assert deepl.json()["translations"][0]["text"] == "ab"
    assert server.get("/api/translate", params={"text": "ab", **both}).json() == {"translation": "ab"}
    ours = server.post("/v1/translate", json={"text": ["ab", "c"], **both}).json()
    assert ([one["text"] for one in ours["translations"]], ours["model"]) == (["ab", "c"], None)
    stream = server.post("/v1/translate", json={"text": "ab", "stream": True, **both}).text
    assert '"text": "ab"' in stream
    assert stream.endswith("event: end\ndata: {}\n\n")
    file = {"file": ("a.txt", b"ab\n")}
    document = server.post("/v1/document", data=both, files=file)
    assert document.content == b"ab\n"
    assert "already" in json.loads(document.headers["X-Document-Report"])["notes"][0]
    address = server.post("/translate_file", data=both, files=file).json()["translatedFileUrl"]
    assert server.get(address).content == b"ab\n"
    sent = server.post("/v2/document", data={"source_lang": "EN", "target_lang": "EN-GB"}, files=file).json()
    path, key = f"/v2/document/{sent['document_id']}", {"document_key": sent["document_key"]}
    while server.post(path, data=key).json()["status"] == "translating":
        pass
    assert server.post(f"{path}/result", data=key).content == b"ab\n"
    for path, wish in (("/translate", {"q": "a"}), ("/v1/translate", {"text": "a"})):
        assert server.post(path, json=wish | {"source": "fr", "target": "fr"}).status_code == 400


def test_what_deepl_can_do_and_this_server_cannot_is_refused_in_its_form(server: TestClient) -> None:
    for method, path in (
        ("POST", "/v2/write/rephrase"), ("POST", "/v2/write/correct"), ("GET", "/v3/languages"),
        ("GET", "/v3/style_rules"), ("DELETE", "/v3/translation_memories/a"),
    ):  # fmt: skip
        answer = server.request(method, path)
        assert (answer.status_code, "not supported by this server" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("given", ["42", "12.03.2019", "3,50 €", "+49 (0)30 123-456", "50 % / 7", "…", "٤٢"])
def test_a_text_without_letters_comes_back_as_it_is_and_no_model_is_asked(given: str) -> None:
    shouter = Shouter()
    with service_of(shouter) as service, client_of(service) as client:
        cells = f"<td>{given}</td><td>ab</td>"
        wish = {"text": [given, cells], "source_lang": "DE", "target_lang": "EN-US", "tag_handling": "html"}
        deepl = client.post("/v2/translate", json=wish).json()["translations"]
        assert [one["text"] for one in deepl] == [given, f"<td>{given}</td><td>AB</td>"]
        assert libre(client, q=[given, "ab"], **PAIR) == (200, {"translatedText": [given, "AB"]})
        ours = client.post("/v1/translate", json={"text": given, **PAIR}).json()["translations"][0]
        assert (ours["text"], ours["flags"]) == (given, ["passed_through"])
        document = f"ab\n{given}\n"
        form = {"files": {"file": ("a.txt", document)}, "data": PAIR}
        assert client.post("/v1/document", **form).text == f"AB\n{given}\n"
    assert all(text == "ab" for call in shouter.calls for text in call)
