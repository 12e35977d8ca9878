"""Documents and marked-up texts through the service: tags stay, nothing becomes markup, limits hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import Shouter, client_of, pair_of

from pellucid.config.service import KeyConfig, ServiceConfig
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.documents.desk import Pace
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.service import Service

DE_EN = {"source": "de", "target": "en"}
PAGE = b'<p title="a">Ein <b id=x>Hund</b> &amp; <i>wir</i> nun</p><script>var a = "b"</script><!-- c -->'
SHOUTED = b'<p title="A">EIN <b id=x>HUND</b> &amp; <i>WIR</i> NUN</p><script>var a = "b"</script><!-- c -->'


@pytest.fixture(scope="module", params=[True, False], ids=["aligns", "keeps"])
def client(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    with asked(pair_of(Shouter(), aligns=request.param)) as found:
        yield found


class asked:
    """A client of a service of one pair."""

    def __init__(self, pair: Any, **config: Any) -> None:
        pool = ModelPool([pair])
        self.service = Service(pool, ServiceConfig.model_validate(config))
        pool.open_what_fits()
        self.service._workers.start()
        self._client = client_of(self.service)

    def __enter__(self) -> TestClient:
        return self._client.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._client.__exit__(*error)
        self.service.end()


def sent(client: TestClient, path: str, data: bytes = PAGE, name: str = "a.html", **fields: str) -> Any:
    return client.post(path, data=DE_EN | fields, files={"file": (name, data)})


def test_html_of_libretranslate_keeps_tags(client: TestClient) -> None:
    wish = DE_EN | {"format": "html", "q": "<p title='x'>ein <b>hund</b> &lt; ab &amp; <br>da</p>", "alternatives": 2}
    answer = client.post("/translate", json=wish)
    assert answer.json() == {
        "translatedText": "<p title='x'>EIN <b>HUND</b> &lt; AB &amp; <br>DA</p>",
        "alternatives": [],
    }
    answer = client.post("/translate", json=wish | {"q": ["<b>ab</b>", "ab"], "source": "de"})
    assert answer.json()["translatedText"] == ["<b>AB</b>", "AB"]
    assert client.post("/translate", json=wish | {"format": "rtf"}).status_code == 400


def test_tag_handling_of_deepl(client: TestClient) -> None:
    def translated(text: str, **fields: object) -> str:
        wish = {"text": [text], "source_lang": "DE", "target_lang": "EN", "show_billed_characters": True, **fields}
        answer = client.post("/v2/translate", json=wish)
        assert answer.status_code == 200, answer.text
        (one,) = answer.json()["translations"]
        assert one["billed_characters"] == len(text)
        return str(one["text"])

    xml = "<doc><t>ab <x id='1'/>cd</t><k>ef</k></doc>"
    assert translated(xml, tag_handling="xml") == "<doc><t>AB <x id='1'/>CD</t><k>EF</k></doc>"
    assert translated(xml, tag_handling="xml", ignore_tags=["k"]) == "<doc><t>AB <x id='1'/>CD</t><k>ef</k></doc>"
    assert translated("a <n>b</n> <n>c</n>", tag_handling="xml", ignore_tags="n,m") == "A <n>b</n> <n>c</n>"
    assert translated("<p>ab</p> cd", tag_handling="html", non_splitting_tags="p") == "<p>AB</p> CD"
    assert translated("<p>a</p>", tag_handling="html", splitting_tags=["p"], ignore_tags=[]) == "<p>A</p>"
    refused = client.post("/v2/translate", json={"text": ["a"], "target_lang": "EN", "tag_handling": "sgml"})
    assert (refused.status_code, refused.json()["message"]) == (400, "Value for 'tag_handling' not supported.")


BROKEN = {
    "<p>ab cd</a>": "<p>AB CD</a>",
    "ab <b>cd": "AB <b>CD",
    "</i>ab <i>cd": "</i>AB <i>CD",
    "a <b>b<i>c</b>d</i>": "A <b>B<i>C</b>D</i>",
    "a < b": "A &lt; B",
    "ab&nbsp;cd &co; ef": "AB&nbsp;CD &co; EF",
    "ab <![CDATA[< cd]]> ef": "AB &lt; CD EF",
}
ENDLESS = ("ab <b cd", "ab <!-- cd", "ab <![CDATA[cd", "ab <?cd")


@pytest.mark.parametrize("text", BROKEN)
def test_broken_xml_keeps_all_its_tags_unless_it_is_to_be_read_strictly(client: TestClient, text: str) -> None:
    wish = {"text": [text], "source_lang": "DE", "target_lang": "EN", "tag_handling": "xml"}
    (one,) = client.post("/v2/translate", json=wish).json()["translations"]
    if "<i>" not in text:
        assert one["text"] == BROKEN[text]
    # Halves of pairs that cross stay in their order, and no word and no tag is lost.
    assert re.findall("<[^>]*>", one["text"]) == re.findall("<[^>]*>", BROKEN[text])
    assert re.sub(r"<[^>]*>|\s", "", one["text"]) == re.sub(r"<[^>]*>|\s", "", BROKEN[text])
    answer = client.post("/v2/translate", json=wish | {"tag_handling_version": "v2"})
    if "CDATA" in text:
        assert answer.json()["translations"][0]["text"] == BROKEN[text]
    else:
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("Tag handling parsing failed, please check input")


@pytest.mark.parametrize("text", ENDLESS)
def test_a_tag_without_an_end_is_refused_because_it_would_hide_text(client: TestClient, text: str) -> None:
    wish = {"text": [text], "source_lang": "DE", "target_lang": "EN"}
    refused = client.post("/v2/translate", json=wish | {"tag_handling": "xml"})
    assert (refused.status_code, "has no end" in refused.json()["message"]) == (400, True)
    if "<b" in text:
        assert client.post("/v2/translate", json=wish | {"tag_handling": "html"}).status_code == 400
        assert client.post("/translate", json=DE_EN | {"q": text, "format": "html"}).status_code == 400


def test_strict_xml_may_be_a_file_or_a_fragment_without_entities(client: TestClient) -> None:
    wish = {"source_lang": "DE", "target_lang": "EN", "tag_handling": "xml", "tag_handling_version": "v2"}
    for text in ('<?xml version="1.0"?><!DOCTYPE a><a>b</a>', "a <b>c</b> d", "a", "<a:b c:d='e'>f</a:b>"):
        assert client.post("/v2/translate", json=wish | {"text": text}).status_code == 200, text
    for text in ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "</x><x>", "a \x01", "<a b='c' b='d'/>"):
        assert client.post("/v2/translate", json=wish | {"text": text}).status_code == 400, text
    assert client.post("/v2/translate", json=wish | {"text": "a", "tag_handling_version": "v3"}).status_code == 400


def test_the_time_that_a_document_takes_is_that_of_what_is_done() -> None:
    pace = Pace(begun=10.0, total=300)
    assert pace.seconds_left(12.0) is None
    pace.done = 100
    assert pace.seconds_left(12.0) == 4
    assert pace.seconds_left(13.1) == 7
    pace.done = 400
    assert pace.seconds_left(14.0) == 1


def test_our_document_in_one_answer(client: TestClient) -> None:
    answer = sent(client, "/v1/document")
    assert answer.content == SHOUTED
    report = json.loads(answer.headers["x-document-report"])
    assert (report["segments"], report["codes"], report["not_translated"]) == (2, 4, 0)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert sent(client, "/v1/document", b"ab\n", "x", format="txt").content == b"AB\n"
    assert sent(client, "/v1/document", surprise="x").status_code == 400


def test_a_file_of_libretranslate_is_fetched_once(client: TestClient) -> None:
    address = sent(client, "/translate_file").json()["translatedFileUrl"]
    assert address.startswith("http://127.0.0.1")
    assert address.endswith(".html")
    answer = client.get(address)
    assert (answer.content, answer.headers["x-content-type-options"]) == (SHOUTED, "nosniff")
    assert client.get(address).status_code == 404
    settings = client.get("/frontend/settings").json()
    assert settings["filesTranslation"] is True
    assert ".html" in settings["supportedFilesFormat"]


def test_a_document_of_deepl_needs_its_key(client: TestClient) -> None:
    fields = {"source_lang": "DE", "target_lang": "EN"}
    handle = client.post("/v2/document", data=fields, files={"file": ("a.html", PAGE)}).json()
    path, key = f"/v2/document/{handle['document_id']}", {"document_key": handle["document_key"]}
    assert client.post(path, json={"document_key": "x"}).status_code == 404
    for _ in range(3000):
        status = client.post(path, json=key).json()
        if status["status"] != "translating":
            break
    assert status == {
        "document_id": handle["document_id"],
        "status": "done",
        "billed_characters": len("Ein Hund & wir nuna"),
    }
    assert client.post(f"{path}/result", json=key).content == SHOUTED
    assert client.post(f"{path}/result", json=key).status_code == 404


@pytest.mark.parametrize(
    ("data", "name", "status", "said"),
    [
        (PAGE, "a.exe", 400, "file format not supported"),
        (b"", "a.html", 400, "a.html: is empty"),
        (b"", "", 400, "missing file"),
        (b"\xff", "a.txt", 400, "not valid utf-8"),
        (PAGE, "..\\..\\a.html\0", 400, "not supported"),
    ],
)
def test_what_is_no_document_is_refused(client: TestClient, data: bytes, name: str, status: int, said: str) -> None:
    answer = sent(client, "/translate_file", data, name)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_names_of_files_lead_nowhere(client: TestClient) -> None:
    answer = sent(client, "/v1/document", name='../../etc/ü"; x=.html')
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC%22%3B%20x%3D.html"
    for name in ("..", "%2e%2e%2fa", "a" * 32, ""):
        assert client.get(f"/download_file/{name}").status_code == 404


def test_sizes_are_limited_for_documents_alone() -> None:
    limits = {"document_bytes": 2048, "body_bytes": 1024, "characters": 100}
    with asked(pair_of(Shouter()), limits=limits) as client:
        assert sent(client, "/v1/document", b"ab " * 600, "a.txt").status_code == 200
        large = sent(client, "/v1/document", b"ab " * 1000, "a.txt")
        assert (large.status_code, large.json()["error"]) == (
            413,
            "a.txt: has 3,000 bytes, limit 2,048; divide the document",
        )
        assert sent(client, "/v1/document", bytes(1 << 17), "a.txt").status_code == 413


def test_a_document_of_another_client_is_not_there() -> None:
    keys = [KeyConfig(name=name, sha256=sha256_of(name)).model_dump() for name in ("ada", "bob")]
    with asked(pair_of(Shouter()), keys=keys) as client:
        assert sent(client, "/translate_file").status_code == 400
        handle = client.post(
            "/v2/document",
            data={"source_lang": "DE", "target_lang": "EN"},
            files={"file": ("a.html", PAGE)},
            headers={"Authorization": "DeepL-Auth-Key ada"},
        ).json()
        wish = {"document_key": handle["document_key"]}
        for key, status in (("bob", 404), ("ada", 200)):
            headers = {"Authorization": f"DeepL-Auth-Key {key}"}
            assert (
                client.post(f"/v2/document/{handle['document_id']}", json=wish, headers=headers).status_code == status
            )


def test_documents_wait_ten_minutes_and_not_without_bound() -> None:
    from pellucid.serving.documents.desk import Desk
    from pellucid.serving.refusals import Refusal

    now = [0.0]
    desk = Desk(lambda: now[0])
    name, waiting = desk.put("ada", "a.html")
    waiting.data = bytes(1 << 27)
    with pytest.raises(Refusal, match="too many documents"), desk.work():
        pass
    now[0] = 601.0
    assert desk.get(name) is None
    with desk.work(), desk.work():
        assert desk.waiting_bytes == 0


def test_a_form_with_files_that_is_damaged_is_refused(client: TestClient) -> None:
    for body in (
        b"",
        b"--b",
        b"--b\r\n\r\nx",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b"--b\r\n" * 9,
    ):
        answer = client.post("/translate", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert answer.status_code == 400
        assert "error" in answer.json()
    form = {"q": (None, "ab"), "source": (None, "de"), "target": (None, "en")}
    assert client.post("/translate", files=form).json() == {"translatedText": "AB"}


def test_nothing_of_a_document_is_on_the_disk(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sent(client, "/translate_file", b"secret words\n" * 9999, "a.txt")
    assert list(tmp_path.iterdir()) == []
