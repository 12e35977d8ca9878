"""Real clients of other projects use the service over a real socket; a network is not needed."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.live_service import running
from tests.models import random_model, save_model

from pellucid.config import TranslationConfig
from pellucid.config.service import KeyConfig, ServedModel, ServiceConfig, ServiceLimits
from pellucid.errors import PellucidError
from pellucid.jobs.models import open_translator
from pellucid.jobs.serve import listen, server_of
from pellucid.jobs.service.opening import open_service
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.connections import Limits

FEW = TranslationConfig(beam_size=2, max_length_constant=5, max_length_factor=0.1)
KEY = "a-key-for-tests"
TEXT = "Ein Hund, eine Katze."
NODE_MODULES = Path(__file__).parents[1] / "node" / "node_modules"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("service") / "toy", random_model(), translation=FEW)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    key = KeyConfig(name="client", sha256=sha256_of(KEY))
    with running(ServiceConfig(models=(ServedModel(path=str(folder)),), keys=(key,))) as found:
        yield found


@pytest.fixture(scope="module")
def expected(folder: Path) -> str:
    return open_translator(folder, threads=1).translate_document(TEXT).text


def test_libretranslatepy(address: str, expected: str) -> None:
    client = pytest.importorskip("libretranslatepy").LibreTranslateAPI(address, KEY)
    assert client.translate(TEXT, "de", "en") == expected
    assert client.languages() == [{"code": "de", "name": "German", "targets": ["de", "en"]}]
    pytest.importorskip("py3langid")
    assert client.detect("Der schnelle braune Fuchs springt.")[0]["language"] == "de"


def test_deep_translator(address: str, expected: str) -> None:
    translator = pytest.importorskip("deep_translator").LibreTranslator
    client = translator(source="de", target="en", custom_url=address, api_key=KEY)
    assert client.translate(TEXT) == expected


def test_deepl(address: str, expected: str) -> None:
    deepl = pytest.importorskip("deepl")
    client = deepl.Translator(KEY, server_url=address.rstrip("/"), send_platform_info=False)
    found = client.translate_text([TEXT, "…"], source_lang="DE", target_lang="EN-US")
    assert [one.text for one in found] == [expected, "…"]
    assert client.translate_text(TEXT, target_lang="EN-GB").detected_source_lang == "DE"
    assert [one.code for one in client.get_source_languages()] == ["DE"]
    assert [one.code for one in client.get_target_languages()] == ["EN-GB", "EN-US"]
    assert client.get_usage().character.count >= len(TEXT)
    glossary = client.create_glossary("mine", "DE", "EN", {"Hund": "ab"})
    assert client.get_glossary_entries(glossary) == {"Hund": "ab"}
    assert "ab" in client.translate_text(TEXT, source_lang="DE", target_lang="EN-US", glossary=glossary).text
    assert [one.glossary_id for one in client.list_glossaries()] == [glossary.glossary_id]
    client.delete_glossary(glossary)
    assert client.list_glossaries() == []
    with pytest.raises(deepl.DeepLException, match="target_lang"):
        client.translate_text(TEXT, target_lang="XX")
    with pytest.raises(deepl.AuthorizationException):
        deepl.Translator("wrong", server_url=address.rstrip("/")).get_usage()
    client.close()


def test_documents_by_the_client_of_deepl(address: str, expected: str, tmp_path: Path) -> None:
    deepl = pytest.importorskip("deepl")
    client = deepl.Translator(KEY, server_url=address.rstrip("/"), send_platform_info=False)
    page = f'<p title="x">{TEXT}</p><!-- {TEXT} -->'
    (tmp_path / "a.html").write_text(page)
    status = client.translate_document_from_filepath(
        tmp_path / "a.html", tmp_path / "b.html", source_lang="DE", target_lang="EN-US"
    )
    assert status.done
    assert status.billed_characters == len(TEXT) + 1
    assert f">{expected}</p><!-- {TEXT} -->" in (tmp_path / "b.html").read_text()
    found = client.translate_text(f"<p>{TEXT}</p>", source_lang="DE", target_lang="EN-US", tag_handling="html")
    assert found.text == f"<p>{expected}</p>"
    with pytest.raises(deepl.DocumentTranslationException, match="not valid utf-8"):
        client.translate_document(b"\xff", io.BytesIO(), filename="a.txt", source_lang="DE", target_lang="EN-US")
    client.close()


def test_argos_translates_client(address: str, expected: str) -> None:
    client = pytest.importorskip("argostranslate.apis").LibreTranslateAPI(address, KEY)
    assert client.translate(TEXT, "de", "en") == expected
    assert [one["code"] for one in client.languages()] == ["de"]


def test_the_calls_of_argos_translates_client(address: str, expected: str) -> None:
    # It comes with gigabytes, so its calls are written here, too: forms, also where it only asks.
    def sent(path: str, **fields: str) -> Any:
        data = urllib.parse.urlencode({**fields, "api_key": KEY}).encode()
        with urllib.request.urlopen(f"{address}{path}", data, timeout=600) as answer:
            return json.load(answer)

    assert sent("translate", q=TEXT, source="de", target="en") == {"translatedText": expected}
    assert [one["code"] for one in sent("languages")] == ["de"]


LIBRETRANSLATE_TS = """
(async () => {
  const { libreTranslate } = require("libretranslate-ts");
  libreTranslate.setApiEndpoint(address.replace(/[/]$/, ""));
  libreTranslate.setApiKey(key);
  const { translatedText, alternatives } = await libreTranslate.translate(text, "de", "en", 1);
  const languages = await libreTranslate.listLanguages();
  const wrong = await libreTranslate.translate(text, "de", "zz");
  const codes = languages.map((one) => one.code);
  return { translatedText, alternatives: alternatives.length, codes, error: wrong.error };
})()"""

DEEPL_NODE = """
(async () => {
  const deepl = require("deepl-node");
  const client = new deepl.Translator(key, { serverUrl: address.replace(/[/]$/, ""), sendPlatformInfo: false });
  const found = await client.translateText([text, "…"], "de", "en-US");
  const entries = new deepl.GlossaryEntries({ entries: { Hund: "ab" } });
  const glossary = await client.createGlossary("mine", "de", "en", entries);
  const termed = await client.translateText(text, "de", "en-US", { glossary });
  await client.deleteGlossary(glossary);
  const wrong = await client.translateText(text, "de", "xx").catch((error) => error.message);
  const usage = await client.getUsage();
  return {
    texts: found.map((one) => one.text),
    sources: (await client.getSourceLanguages()).map((one) => one.code),
    targets: (await client.getTargetLanguages()).map((one) => one.code),
    hasTerm: termed.text.includes("ab"),
    glossaries: (await client.listGlossaries()).length,
    hasUsage: usage.character.count >= text.length,
    wrong,
  };
})()"""


def in_node(script: str, address: str) -> Any:
    """Run a script with packages of npm, and return what its promise gives."""
    node = shutil.which("node")
    modules = Path(os.environ.get("PELLUCID_NODE_MODULES", NODE_MODULES))
    if node is None or not modules.is_dir():
        pytest.skip(f"needs node, and {modules} by 'npm install --prefix tests/node'")
    values = json.dumps({"address": address, "key": KEY, "text": TEXT})
    program = (
        f"const {{ address, key, text }} = {values};\n({script}).then((value) => console.log(JSON.stringify(value)));"
    )
    done = subprocess.run(
        [node, "-e", program],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_libretranslate_ts(address: str, expected: str) -> None:
    assert in_node(LIBRETRANSLATE_TS, address) == {
        "translatedText": expected, "alternatives": 1, "codes": ["de"], "error": "zz is not supported"
    }  # fmt: skip


def test_deepl_node(address: str, expected: str) -> None:
    found = in_node(DEEPL_NODE, address)
    assert "target_lang" in found.pop("wrong")
    assert found == {
        "texts": [expected, "…"],
        "sources": ["de"],
        "targets": ["en-GB", "en-US"],
        "hasTerm": True,
        "glossaries": 0,
        "hasUsage": True,
    }


def test_a_file_as_libretranslates_page_sends_it(address: str, expected: str) -> None:
    # libretranslatepy has no call for files.
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()
        for name, more, value in (
            ("source", "", "de"),
            ("target", "", "en"),
            ("api_key", "", KEY),
            ("file", '; filename="a.txt"', TEXT),
        )
    )
    request = urllib.request.Request(
        f"{address}translate_file", body + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        place = json.load(answer)["translatedFileUrl"]
    with urllib.request.urlopen(place, timeout=600) as answer:
        assert answer.read().decode() == expected


def test_the_calls_of_weblate(address: str, expected: str) -> None:
    # Weblate is under the GPL, so its calls are written here: up to 20 texts in JSON, and api_key in every call.
    codes = {one["code"]: one["targets"] for one in asked(f"{address}languages")}
    assert "en" in codes["de"]
    texts = [TEXT] * 20
    found = asked(f"{address}translate", {"q": texts, "source": "de", "target": "en", "api_key": KEY})
    assert found["translatedText"] == [expected] * 20
    # It sends [X6X] in place of the placeholder at character 6, and needs it back.
    found = asked(f"{address}translate", {"q": f"Hallo [X6X], {TEXT}", "source": "de", "target": "en", "api_key": KEY})
    assert found["translatedText"].count("[X6X]") == 1


def test_the_call_of_omegats_plugin(address: str, expected: str) -> None:
    query = urllib.parse.urlencode({"source": "de-DE", "target": "en-US", "text": TEXT, "api_key": KEY})
    assert asked(f"{address}api/translate?{query}") == {"translation": expected}


def test_more_than_fits_is_refused_and_everything_is_counted(folder: Path) -> None:
    # A3: four times as many clients as the queue has room for. Counts, not times.
    clients, requests, room = 16, 20, 4
    config = ServiceConfig(models=(ServedModel(path=str(folder)),), limits=ServiceLimits(queue_requests=room))
    answers: list[tuple[int, str | None]] = []
    with running(config) as address:

        def client() -> None:
            for number in range(requests):
                wish = {"q": f"{TEXT} {number}", "source": "de", "target": "en"}
                data = json.dumps(wish).encode()
                request = urllib.request.Request(f"{address}translate", data, {"Content-Type": "application/json"})
                try:
                    with urllib.request.urlopen(request, timeout=600) as answer:
                        answers.append((answer.status, None))
                except urllib.error.HTTPError as error:
                    with error:
                        answers.append((error.code, error.headers["Retry-After"]))

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with urllib.request.urlopen(f"{address}metrics", timeout=600) as answer:
            metrics = answer.read().decode()
    served = sum(status == 200 for status, _ in answers)
    refused = [after for status, after in answers if status == 503]
    assert served + len(refused) == clients * requests
    assert served >= requests
    assert refused
    assert all(after is not None and 1 <= int(after) <= 30 for after in refused)
    for line in (
        f'pellucid_requests_total{{route="/translate",status="200"}} {served:.1f}',
        f'pellucid_refused_total{{reason="full"}} {len(refused):.1f}',
        "pellucid_queue_requests 0.0",
        "pellucid_queue_tokens 0.0",
    ):
        assert line in metrics


def test_a_server_that_cannot_translate_any_longer_ends_with_an_error(folder: Path) -> None:
    # A8: the supervisor starts it again.
    service = open_service(ServiceConfig(models=(ServedModel(path=str(folder)),)), threads=1)
    with listen("127.0.0.1", 0) as taken:
        server = server_of(None, host="127.0.0.1", limits=Limits(), service=service)
        service._workers.problem = "a thread that translates ended: for this test"
        server.run(sockets=[taken])
        with pytest.raises(PellucidError, match="for this test; start it again"):
            server.raise_problem()


def asked(address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)
