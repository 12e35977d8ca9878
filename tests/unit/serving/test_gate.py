"""Only the page itself gets answers, and every answer says what a browser may do with it."""

from __future__ import annotations

import pytest

from pellucid.serving.gate import is_loopback

from .kit import HERE, ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/web/modules/main.js"),
        ("GET", "/api/models"),
        ("GET", "/nothing"),
        ("POST", "/api/traces"),
    ],
)
def test_every_answer_carries_the_headers(method: str, path: str) -> None:
    answer = SERVER.request(method, path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost", "LOCALHOST:1", "[::1]:8642", "localhost.:80"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert SERVER.get("/api/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "", "a@localhost.x", "[::"],
)
def test_other_names_are_refused(host: str) -> None:
    for method, path in (("GET", "/"), ("GET", "/api/models"), ("POST", "/api/traces")):
        answer = SERVER.request(method, path, headers={"Host": host})
        assert answer.status_code == 421
        assert "does not answer to the name" in answer.json()["error"]


def test_a_server_of_a_name_answers_to_it() -> None:
    server = client(OPENED, host="Box.local")
    assert server.get("/api/models", headers={"Host": "box.local:8642"}).status_code == 200
    assert server.get("/api/models", headers={"Host": "evil.example"}).status_code == 421


def test_a_server_of_every_address_answers_to_numbers_only() -> None:
    server = client(OPENED, host="0.0.0.0")
    assert server.get("/api/models", headers={"Host": "192.168.1.5:8642"}).status_code == 200
    assert server.get("/api/models", headers={"Host": "[fe80::1]:8642"}).status_code == 200
    assert server.get("/api/models", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://127.0.0.1:8642.x",
        "https://127.0.0.1:8642",
        "ftp://127.0.0.1:8642",
        "//127.0.0.1:8642",
        "127.0.0.1:8642",
        "http://127.0.0.1",
        "http://user@127.0.0.1:8642",
        "http://127.0.0.1:8642/page",
        "http://[",
        "http://[::1",
        "http://127.0.0.1:99999999",
        "http://127.0.0.1:port",
        "http://\u2100.example",
        "http://",
        "",
    ],
)
def test_pages_of_others_cannot_ask_for_work(origin: str) -> None:
    headers = {"Origin": origin.encode("utf-8")}
    answer = SERVER.post("/api/traces", json={"model": "toy", "source": "a"}, headers=headers)
    assert answer.status_code == 403
    assert "cannot use this server" in answer.json()["error"]


def test_a_second_origin_does_not_hide_behind_the_first() -> None:
    headers = [("Origin", HERE), ("Origin", "https://evil.example")]
    assert SERVER.post("/api/traces", json={"model": "toy", "source": "a"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("http://localhost", "http://localhost:80"),
        ("http://localhost:80", "http://LOCALHOST"),
        ("https://localhost", "https://localhost:443"),
        ("http://[::1]:8642", "http://[::1]:8642"),
    ],
)
def test_an_origin_has_several_spellings(base_url: str, origin: str) -> None:
    server = client(OPENED, base_url=base_url)
    answer = server.post("/api/traces", json={"model": "toy", "source": "a"}, headers={"Origin": origin})
    assert answer.status_code == 201


def test_the_page_itself_and_programs_can() -> None:
    wish = {"model": "toy", "source": "a"}
    assert SERVER.post("/api/traces", json=wish, headers={"Origin": HERE}).status_code == 201
    assert ask(SERVER).status_code == 201


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.5", "box.local"]))
