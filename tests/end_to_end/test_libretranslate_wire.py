"""What LibreTranslate answers, word for word: each path, its fields, and the status and form of each error.

Over a real socket, by plain HTTP; ``test_service_clients.py`` has the clients. The table in
``docs/reference/protocols.md`` names where this server differs on purpose.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.live_service import listening
from tests.unit.serving.service_kit import Shouter, pair_of

from pellucid.config.service import KeyConfig, ServiceConfig
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.protocols.reading import NOT_APPLIED
from pellucid.serving.service import Service

KEY = "a-key-for-tests"
PAIR = {"source": "de", "target": "en", "api_key": KEY}


class Answer:
    """Status, headers and JSON of an answer; the body where it is no JSON."""

    def __init__(self, response: Any) -> None:
        with response:
            self.status, self.headers, body = response.status, response.headers, response.read()
        try:
            self.content = json.loads(body)
        except ValueError:
            self.content = body


def sent(address: str, path: str, body: bytes | None = None, kind: str = "", method: str | None = None) -> Answer:
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(f"{address}{path}", body, headers, method=method)
    try:
        return Answer(urllib.request.urlopen(request, timeout=600))
    except urllib.error.HTTPError as error:
        return Answer(error)


def as_json(address: str, path: str, fields: dict[str, Any]) -> Answer:
    return sent(address, path, json.dumps(fields).encode(), "application/json")


def as_form(address: str, path: str, fields: dict[str, Any]) -> Answer:
    return sent(address, path, urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded")


def with_file(address: str, fields: dict[str, str], name: str = "a.txt", data: bytes = b"ab cd\n") -> Answer:
    parts = [(f'name="{key}"', value.encode()) for key, value in fields.items()]
    parts += [(f'name="file"; filename="{name}"', data)] if name else []
    lines = [b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body for head, body in parts]
    return sent(address, "translate_file", b"\r\n".join([*lines, b"--b--\r\n"]), "multipart/form-data; boundary=b")


@pytest.fixture(scope="module")
def model() -> Shouter:
    return Shouter()


@pytest.fixture(scope="module")
def address(model: Shouter) -> Iterator[str]:
    pool = ModelPool([pair_of(model), pair_of(Shouter("fr", "en")), pair_of(Shouter("en", "de"))])
    keys = (
        KeyConfig(name="hush-name", sha256=sha256_of(KEY)),
        KeyConfig(name="slow", sha256=sha256_of("slow"), characters_per_minute=10),
    )
    service = Service(pool, ServiceConfig(keys=keys))
    pool.open_what_fits()
    service._workers.start()
    with listening(service) as found:
        yield found


def test_translate_takes_json_forms_and_queries(address: str) -> None:
    wish = PAIR | {"q": "ab"}
    for answer in (
        as_json(address, "translate", wish),
        as_form(address, "translate", wish),
        sent(address, f"translate?{urllib.parse.urlencode(wish)}", b""),
    ):
        assert (answer.status, answer.content) == (200, {"translatedText": "AB"})
    assert as_form(address, "translate", PAIR | {"q": "ab\r\ncd"}).content == {"translatedText": "AB\nCD"}


def test_translate_answers_arrays_with_arrays(address: str) -> None:
    pytest.importorskip("py3langid")
    texts = ["Der schnelle braune Fuchs springt über den Hund.", "Le chien dort dans la maison depuis ce matin."]
    answer = as_json(address, "translate", PAIR | {"q": texts, "source": "auto", "alternatives": 1})
    assert answer.content["translatedText"] == [text.upper() for text in texts]
    assert [one["language"] for one in answer.content["detectedLanguage"]] == ["de", "fr"], "each text has its own"
    assert all(0 < one["confidence"] <= 100 for one in answer.content["detectedLanguage"])
    assert answer.content["alternatives"] == [[f"{text.upper()}!"] for text in texts]
    assert as_json(address, "translate", PAIR | {"q": ["ab"]}).content == {"translatedText": ["AB"]}


def test_translate_takes_html_and_says_that_it_has_no_alternatives(address: str) -> None:
    wish = PAIR | {"q": "<p>ab &amp;lt;i&amp;gt; <b>cd</b></p>", "format": "html", "alternatives": 2}
    answer = as_json(address, "translate", wish)
    assert answer.content["translatedText"] == "<p>AB &amp;LT;I&amp;GT; <b>CD</b></p>", "no text becomes a tag"
    assert (answer.content["alternatives"], answer.headers[NOT_APPLIED]) == ([], "alternatives")
    assert NOT_APPLIED not in as_json(address, "translate", PAIR | {"q": "ab", "format": "text"}).headers


@pytest.mark.parametrize("path", ["translate", "translate_file", "api/translate"])
def test_fields_that_nobody_knows_are_named(address: str, path: str) -> None:
    if path == "translate_file":
        answer = with_file(address, PAIR | {"secret": "x"})
    else:
        answer = as_json(address, path, PAIR | {"q" if path == "translate" else "text": "ab", "secret": "x"})
    assert (answer.status, answer.headers[NOT_APPLIED]) == (200, "secret")


def test_detect(address: str) -> None:
    pytest.importorskip("py3langid")
    for ask in (as_json, as_form):
        (found, *_) = ask(address, "detect", {"q": "Der schnelle braune Fuchs.", "api_key": KEY}).content
        assert found["language"] == "de"
        assert 0 < found["confidence"] <= 100
        missing = ask(address, "detect", {"api_key": KEY})
        assert (missing.status, missing.content) == (400, {"error": "Invalid request: missing q parameter"})


def test_languages_and_settings_of_a_page_need_no_key(address: str) -> None:
    assert sent(address, "languages").content == [
        {"code": "de", "name": "German", "targets": ["de", "en"]},
        {"code": "fr", "name": "French", "targets": ["en", "fr"]},
        {"code": "en", "name": "English", "targets": ["de", "en"]},
    ]
    settings = sent(address, "frontend/settings").content
    assert set(settings) == {
        "apiKeys", "charLimit", "filesTranslation", "frontendTimeout", "keyRequired", "language", "suggestions",
        "supportedFilesFormat",
    }  # fmt: skip
    assert (settings["apiKeys"], settings["keyRequired"], settings["suggestions"]) == (True, True, False)
    assert set(settings["language"]["source"]) == {"code", "name"}
    assert ".docx" in settings["supportedFilesFormat"]


def test_suggest_is_refused_where_the_server_keeps_no_corrections(address: str) -> None:
    answer = as_form(address, "suggest", PAIR | {"q": "a", "s": "b"})
    assert (answer.status, answer.content) == (403, {"error": "Suggestions are disabled on this server."})


def test_a_file_is_translated_and_fetched_once(address: str) -> None:
    place = with_file(address, PAIR).content["translatedFileUrl"]
    assert place.startswith(f"{address}download_file/")
    fetched = sent("", place)
    assert (fetched.status, fetched.content) == (200, b"AB CD\n")
    assert "a.txt" in fetched.headers["Content-Disposition"]
    again = sent("", place)
    assert (again.status, list(again.content)) == (404, ["error"])


@pytest.mark.parametrize(
    ("changes", "name", "data", "said"),
    [
        ({}, "", b"", "Invalid request: missing file parameter"),
        ({"source": ""}, "a.txt", b"a", "Invalid request: missing source parameter"),
        ({"target": ""}, "a.txt", b"a", "Invalid request: missing target parameter"),
        ({"source": "zz"}, "a.txt", b"a", "zz is not supported"),
        ({}, "a.exe", b"a", "Invalid request: file format not supported"),
        ({}, "a.txt", b"", "a.txt: is empty"),
        ({}, "a.txt", b"\xff\xfe\xfa", "a.txt"),
        ({}, "a.docx", b"PK\3\4", "a.docx"),
    ],
)
def test_errors_of_files(address: str, changes: dict[str, str], name: str, data: bytes, said: str) -> None:
    answer = with_file(address, PAIR | changes, name, data)
    assert (answer.status, list(answer.content)) == (400, ["error"])
    assert said in answer.content["error"]


def test_health_spec_and_metrics(address: str) -> None:
    assert sent(address, "health").content == {"status": "ok"}
    assert "/translate" in sent(address, "spec").content["paths"]
    metrics = sent(address, "metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert b"pellucid_requests_total" in metrics.content
    for secret in (KEY, "hush-name", "127.0.0.1"):  # LibreTranslate's have the key and the address as labels
        assert secret.encode() not in metrics.content


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"q": "a", "source": "de", "target": "en"}, 400, "this server requires a key"),
        (PAIR | {"q": "a", "api_key": ""}, 400, "this server requires a key"),
        (PAIR | {"q": "a", "api_key": "wrong"}, 403, "the key is not valid"),
        (PAIR | {"q": "a" * 8, "api_key": "slow"}, 200, ""),
        (PAIR | {"q": "a" * 8, "api_key": "slow"}, 429, "Slowdown: "),
        (PAIR | {"q": "a" * 11, "api_key": "slow"}, 413, "of a minute for this key"),
        (PAIR | {"q": "a", "source": "fr", "target": "de"}, 400, "de is not available as a target language from fr"),
        (PAIR | {"q": "a" * (6 << 20)}, 413, "over 1,048,576 bytes"),  # more than the system buffers
    ],
)
def test_statuses_of_errors(address: str, fields: dict[str, Any], status: int, said: str) -> None:
    answer = as_json(address, "translate", fields)
    assert answer.status == status
    if status != 200:
        assert list(answer.content) == ["error"]
        assert answer.content["error"].startswith(said) or said in answer.content["error"]
    if status == 429:
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("path", "body", "kind", "method", "status"),
    [
        ("translate", None, "", "GET", 405),
        ("nothing", b"{}", "application/json", "POST", 404),
        ("translate", b"<q/>", "text/xml", "POST", 415),
        ("translate", b"[1]", "application/json", "POST", 400),
        ("translate", b"{", "application/json", "POST", 400),
        ("translate", b"q=a&q=b", "application/x-www-form-urlencoded", "POST", 400),
        ("translate", b"q=%ff", "application/x-www-form-urlencoded", "POST", 400),
        ("download_file/..%2f..%2fetc%2fpasswd", None, "", "GET", 404),
    ],
)
def test_every_error_is_json(address: str, path: str, body: bytes, kind: str, method: str, status: int) -> None:
    # LibreTranslate answers 404, 405 and 415 with pages of HTML.
    answer = sent(address, path, body, kind, method)
    assert (answer.status, list(answer.content)) == (status, ["error"])
    if path == "translate":
        assert answer.headers["Content-Type"] == "application/json"


def test_an_error_of_the_model_says_nothing_of_the_text(address: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = as_json(address, "translate", PAIR | {"q": "a poison pill"})
    assert answer.status in (400, 500)
    assert list(answer.content) == ["error"]
    assert "pill" not in json.dumps(answer.content) + caplog.text


def test_the_calls_of_opus_mt(address: str) -> None:
    wish = {"from": "de", "to": "en", "source": "ab", "api_key": KEY}
    assert as_json(address, "api/translate", wish).content == {"translation": "AB"}
    query = urllib.parse.urlencode({"source": "de-DE", "target": "en-US", "text": "ab", "api_key": KEY})
    assert sent(address, f"api/translate?{query}").content == {"translation": "AB"}
    assert sent(address, "api/languages").content == {"de": ["en"], "fr": ["en"], "en": ["de"]}
    assert sent(address, "api/ready").status == 204
    wrong = as_json(address, "api/translate", wish | {"to": "zz"})
    # The server of OPUS-MT answers errors with status 200.
    assert (wrong.status, wrong.content) == (400, {"error": "zz is not supported"})
    pytest.importorskip("py3langid")
    found = as_json(address, "api/translate", wish | {"from": "detect", "source": "Der schnelle braune Fuchs."})
    assert found.content == {"translation": "DER SCHNELLE BRAUNE FUCHS."}
