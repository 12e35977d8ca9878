"""Placeholders of plain texts come through in every protocol, unless the request or the server says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import client_of
from typer.testing import CliRunner

from pellucid.cli.main import app
from pellucid.config.service import ServedModel, ServiceConfig
from pellucid.jobs.service.opening import open_service

PLACEHOLDERS = ("{price}", "%s", "{{name}}", "${x}", "%(name)s", "%1$s", "{0}", "[X6X]", "<b>")
TEXTS = [f"Der Hund {one} schläft." for one in PLACEHOLDERS]
PAIR = {"source": "de", "target": "en"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    service = open_service(ServiceConfig(models=(ServedModel(path="de-en"),)), threads=1)
    service.pool.open_what_fits()
    service._workers.start()
    with client_of(service) as found:
        yield found
    service.end()


def translations(client: TestClient, protocol: str) -> list[str]:
    if protocol == "libretranslate":
        return client.post("/translate", json={"q": TEXTS, **PAIR}).json()["translatedText"]
    if protocol == "deepl":
        body = {"text": TEXTS, "source_lang": "DE", "target_lang": "EN"}
        return [one["text"] for one in client.post("/v2/translate", json=body).json()["translations"]]
    return [one["text"] for one in client.post("/v1/translate", json={"text": TEXTS, **PAIR}).json()["translations"]]


@pytest.mark.parametrize("protocol", ["libretranslate", "deepl", "v1"])
def test_placeholders_come_through(client: TestClient, protocol: str) -> None:
    found = translations(client, protocol)
    assert [one for one, text in zip(PLACEHOLDERS, found, strict=True) if text.count(one) != 1] == []


def test_a_request_says_that_they_are_text(client: TestClient) -> None:
    as_text = {"text": "Der Hund {price} schläft.", "placeholders": "translate", **PAIR}
    assert "{price}" not in client.post("/v1/translate", json=as_text).json()["translations"][0]["text"]


def test_a_prefix_has_its_placeholders_itself(client: TestClient) -> None:
    given = {"text": "Der Hund {price} schläft.", "prefix": "The dog {price} is", **PAIR}
    (found,) = client.post("/v1/translate", json=given).json()["translations"]
    assert found["text"].startswith("The dog {price} is")
    assert found["text"].count("{price}") == 1
    words = client.post("/v1/complete", json=given)
    assert (words.status_code, bool(words.json()["words"])) == (200, True)


@pytest.mark.parametrize(
    "text", ["Ich bin 100 % sicher.", "Der Preis steigt um 5 % im Jahr.", "Tom & Maria; 3 < 5 > 2"]
)
def test_prose_is_translated_as_ever(client: TestClient, text: str) -> None:
    kept, as_text = (
        client.post("/v1/translate", json={"text": text, "placeholders": one, **PAIR}).json()["translations"]
        for one in ("keep", "translate")
    )
    assert kept == as_text


def test_the_server_says_otherwise() -> None:
    service = open_service(ServiceConfig(models=(ServedModel(path="de-en", settings=("placeholders=translate",)),)))
    with service.pool.used(service.pool.find("de", "en")) as translator:
        assert translator.config.placeholders == "translate"


def test_the_command_keeps_them_too(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    command = ["translate", "de-en", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.txt"), "--threads", "1"]
    assert CliRunner().invoke(app, command).exit_code == 0
    found = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    assert [one for one, text in zip(PLACEHOLDERS, found, strict=True) if text.count(one) != 1] == []
    assert CliRunner().invoke(app, [*command, "--set", "placeholders=translate"]).exit_code == 0
    assert "{price}" not in (tmp_path / "out.txt").read_text(encoding="utf-8")
