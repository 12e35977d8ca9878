"""Real clients of other projects use the service over a real socket; a network is not needed."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.models import random_model, save_model

from pellucid.config import TranslationConfig
from pellucid.config.service import KeyConfig, ServedModel, ServiceConfig
from pellucid.errors import PellucidError
from pellucid.jobs.models import open_translator
from pellucid.jobs.serve import address_of, listen, server_of
from pellucid.jobs.service.opening import open_service
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.connections import Limits

FEW = TranslationConfig(beam_size=2, max_length_constant=5, max_length_factor=0.1)
KEY = "a-key-for-tests"
TEXT = "Ein Hund, eine Katze."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("service") / "toy", random_model(), translation=FEW)


@contextmanager
def running(config: ServiceConfig) -> Iterator[str]:
    """Serve in a thread; the address has a slash at its end."""
    service = open_service(config, threads=1)
    with listen("127.0.0.1", 0) as taken:
        server = server_of(None, host="127.0.0.1", limits=Limits(), service=service)
        service.start()
        thread = threading.Thread(target=lambda: server.run(sockets=[taken]), daemon=True)
        thread.start()
        address = address_of(taken, "127.0.0.1")
        wait_until_ready(address)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()
            service.end()


def wait_until_ready(address: str) -> None:
    for _ in range(3000):
        try:
            urllib.request.urlopen(f"{address}readyz", timeout=60).close()
            return
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            time.sleep(0.02)
    pytest.fail("the service is not ready")


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
    assert [one.code for one in client.get_target_languages()] == ["EN"]
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


def test_the_calls_of_weblate(address: str, expected: str) -> None:
    # Weblate is under the GPL, so its calls are written here: up to 20 texts in JSON, and api_key in every call.
    codes = {one["code"]: one["targets"] for one in asked(f"{address}languages")}
    assert "en" in codes["de"]
    texts = [TEXT] * 20
    found = asked(f"{address}translate", {"q": texts, "source": "de", "target": "en", "api_key": KEY})
    assert found["translatedText"] == [expected] * 20


def test_the_call_of_omegats_plugin(address: str, expected: str) -> None:
    query = urllib.parse.urlencode({"source": "de-DE", "target": "en-US", "text": TEXT, "api_key": KEY})
    assert asked(f"{address}api/translate?{query}") == {"translation": expected}


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
