"""The service over HTTP, on one event loop and without a network. A held translator stands for a busy one."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.models import random_model
from tests.unit.serving.service_kit import Shouter, client_of, pair_of, service_of

from pellucid.config import TranslationConfig
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.refusals import Refusal
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.translator import Translator


def test_texts_of_several_requests_share_a_batch() -> None:
    shouter = Shouter()
    with service_of(shouter) as service, client_of(service) as client, ThreadPoolExecutor(4) as pool:
        with shouter.held():
            asked = [pool.submit(_libre, client, "eins")]
            shouter.wait_for_a_call()
            asked += [pool.submit(_libre, client, word) for word in ("zwei", "drei", "vier")]
            _wait_for(lambda: service.queue.requests == 4)
        assert [one.result()["translatedText"] for one in asked] == ["EINS", "ZWEI", "DREI", "VIER"]
    assert [sorted(call) for call in shouter.calls] == [["eins"], ["drei", "vier", "zwei"]]


def test_the_service_translates_as_the_translator_does() -> None:
    config = TranslationConfig(beam_size=2, max_length_factor=1e-9, max_length_constant=7)
    translator = Translator(
        random_model(seed=5), BytesTokenizer(), config=config, source_language="de", target_language="en"
    )
    text = "  Ein Hund. Eine Katze!\n\n- Ab (c) d\r\n\tEnde"
    with service_of(translator) as service, client_of(service) as client:
        found = client.post("/v1/translate", json={"text": [text, "ab"], "source": "de", "target": "en"}).json()
    expected = [translator.translate_document(one) for one in (text, "ab")]
    assert [one["text"] for one in found["translations"]] == [one.text for one in expected]
    for one, other in zip(found["translations"], expected, strict=True):
        assert [s["source_span"] for s in one["sentences"]] == [[s.source_start, s.source_end] for s in other.sentences]
        assert [s["target_span"] for s in one["sentences"]] == [[s.target_start, s.target_end] for s in other.sentences]
        assert [s["score"] for s in one["sentences"]] == pytest.approx(
            [s.translation.score for s in other.sentences], abs=1e-5
        )
        assert one["flags"] == list(dict.fromkeys(f for s in other.sentences for f in s.translation.flags))


def test_a_full_queue_answers_503_at_once_and_nothing_is_computed() -> None:
    # A3: while everything is held, refusals still come, so they do not wait for a translation.
    shouter = Shouter()
    limits = {"queue_requests": 2}
    with service_of(shouter, limits=limits) as service, client_of(service) as client, ThreadPoolExecutor(2) as pool:
        with shouter.held():
            asked = [pool.submit(_libre, client, word) for word in ("eins", "zwei")]
            _wait_for(lambda: service.queue.requests == 2)
            refused = client.post("/translate", json={"q": "drei", "source": "de", "target": "en"})
            assert refused.status_code == 503
            assert 1 <= int(refused.headers["Retry-After"]) <= 30
            assert "full" in refused.json()["error"]
        assert [one.result()["translatedText"] for one in asked] == ["EINS", "ZWEI"]
    assert "drei" not in str(shouter.calls)


def test_a_request_that_is_late_in_the_queue_is_never_translated() -> None:
    # A4: 503 for what was not begun, 504 for what was; a dropped sentence stops.
    shouter = Shouter()
    with service_of(shouter) as service, client_of(service) as client, ThreadPoolExecutor(1) as pool:
        with shouter.held():
            running = pool.submit(_libre, client, "eins", deadline="0.2", raw=True)
            shouter.wait_for_a_call()
            waiting = _libre(client, "zwei", deadline="0.05", raw=True)
            assert (waiting.status_code, "Retry-After" in waiting.headers) == (503, True)
            assert running.result().status_code == 504
            assert 0 in shouter.drops[0]
        _wait_for(lambda: service.queue.requests == 0)
    assert shouter.calls == [["eins"]]


def test_a_client_that_leaves_frees_its_place_at_once() -> None:
    # A5. The test client cannot leave, so ASGI says it here.
    import anyio

    from pellucid.serving.app import create_app

    shouter = Shouter()
    with service_of(shouter) as service, shouter.held():
        app = create_app(None, service=service)
        body = json.dumps({"q": ["eins. Zwei drei."], "source": "de", "target": "en"}).encode()

        async def leave() -> None:
            gone = anyio.Event()
            sent = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> dict[str, Any]:
                if sent:
                    return sent.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                answers.append(message)

            answers: list[Any] = []
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/translate",
                "raw_path": b"/translate",
                "query_string": b"",
                "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            }
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app, scope, receive, send)
                await anyio.to_thread.run_sync(shouter.wait_for_a_call)
                assert service.queue.requests == 1
                gone.set()
            assert answers[0]["status"] == 499

        anyio.run(leave)
        assert 0 in shouter.drops[0]
    assert service.queue.tokens == 0


def test_a_poisonous_sentence_fails_alone() -> None:
    # A6: its batch is translated again, and the others come as they would alone.
    shouter = Shouter()
    with service_of(shouter) as service, client_of(service) as client, ThreadPoolExecutor(4) as pool:
        with shouter.held():
            first = pool.submit(_libre, client, "eins")
            shouter.wait_for_a_call()
            asked = {word: pool.submit(_libre, client, word, raw=True) for word in ("gut", "poison", "auch gut")}
            _wait_for(lambda: service.queue.requests == 4)
        assert first.result()["translatedText"] == "EINS"
        assert asked["gut"].result().json()["translatedText"] == "GUT"
        assert asked["auch gut"].result().json()["translatedText"] == "AUCH GUT"
        assert asked["poison"].result().status_code == 400
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "\u202eabc\u202c", "x" * 10_000, "😀" * 10_000, " ", "\u2028"])
def test_odd_text_is_translated_or_refused_and_never_breaks_the_service(text: str) -> None:
    with service_of(tiny()) as service, client_of(service) as client:
        body = json.dumps({"q": text, "source": "de", "target": "en"})
        answer = client.post("/translate", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400), answer.text
        assert _libre(client, "ab")["translatedText"] is not None


def tiny() -> Translator:
    config = TranslationConfig(beam_size=1, max_length_factor=1e-9, max_length_constant=2)
    return Translator(random_model(seed=5), BytesTokenizer(), config=config, source_language="de", target_language="en")


def test_draining_says_so_and_still_serves() -> None:
    # A7, the part of the service; tests/end_to_end/test_serve.py has the signal.
    with service_of(Shouter()) as service, client_of(service) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        service.is_draining = True
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert _libre(client, "ab")["translatedText"] == "AB"


def test_a_server_without_its_threads_says_that_it_is_ill() -> None:
    # A8
    class Fatal(Shouter):
        def translate(self, texts: Any, **settings: Any) -> Any:
            if "fatal" in texts:
                raise SystemExit
            return super().translate(texts, **settings)

    with service_of(Fatal()) as service, client_of(service) as client:
        assert client.get("/healthz").status_code == 200
        assert _libre(client, "fatal", deadline="0.1", raw=True).status_code == 504
        for path in ("/healthz", "/readyz", "/health"):
            answer = client.get(path)
            assert (answer.status_code, "SystemExit" in answer.json()["status"]) == (503, True)


def test_a_server_is_not_ready_before_its_models_are_open() -> None:
    with service_of(Shouter(), is_open=False) as service, client_of(service) as client:
        assert client.get("/readyz").status_code == 503
        assert _libre(client, "ab")["translatedText"] == "AB"
        assert client.get("/readyz").status_code == 200


def test_the_languages_are_known_before_a_server_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("pellucid.serving.service.prepare_detection", lambda: done.append("detection"))
    with service_of(Shouter(), is_open=False) as service:
        monkeypatch.setattr(service.pool, "open_what_fits", lambda: done.append("models"))
        service._open_models()
    assert done == ["detection", "models"]


def test_keys_are_needed_everywhere_and_their_limits_hold() -> None:
    # A10
    keys = [{"name": "cat", "sha256": sha256_of("secret"), "characters_per_minute": 10}]
    wish = {"q": "abcdef", "source": "de", "target": "en"}
    with service_of(Shouter(), keys=keys) as service, client_of(service) as client:
        assert client.post("/translate", json=wish).status_code == 400, "as LibreTranslate says that a key is needed"
        assert client.post("/translate", json=wish | {"api_key": ""}).status_code == 400
        assert client.post("/v1/translate", json={"text": "a", "source": "de", "target": "en"}).status_code == 403
        assert client.post("/translate", json=wish | {"api_key": "wrong"}).status_code == 403
        assert client.post("/translate", json=wish | {"api_key": "secret"}).status_code == 200
        header = {"Authorization": "Bearer secret"}
        slow = client.post("/translate", json=wish, headers=header)
        assert slow.status_code == 429
        assert int(slow.headers["Retry-After"]) > 0
        header = {"Authorization": "DeepL-Auth-Key wrong"}
        assert client.post("/translate", json=wish, headers=header).status_code == 403


def test_no_text_and_no_key_in_logs_and_metrics(caplog: pytest.LogCaptureFixture) -> None:
    # A18: not even where the translator's error quotes the text.
    keys = [{"name": "secretname", "sha256": sha256_of("hush")}]
    caplog.set_level(logging.DEBUG)
    with service_of(Shouter(), keys=keys) as service, client_of(service) as client:
        for text in ("confidential", "confidential poison"):
            client.post("/translate", json={"q": text, "source": "de", "target": "en", "api_key": "hush"})
        client.post("/translate?q=confidential&api_key=hush&source=xx&target=yy")
        metrics = client.get("/metrics").text
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("pellucid"))
    assert "could not be translated: RuntimeError" in ours
    for secret in ("confidential", "hush", "secretname"):
        assert secret not in ours + metrics
    assert 'pellucid_requests_total{route="/translate",status="200"} 1.0' in metrics
    assert 'pellucid_refused_total{reason="language"} 1.0' in metrics


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_is_read(kind: str) -> None:
    # A1: an announced length, a lying one and none.
    limits = {"body_bytes": 2000}
    with service_of(Shouter(), limits=limits) as service, client_of(service) as client:
        read = 0

        def pieces() -> Any:
            nonlocal read
            for _ in range(100_000):
                read += 1
                yield b"a" * 100

        for content in (b"a" * 2001, pieces()):
            answer = client.post("/translate", content=content, headers={"Content-Type": kind})
            assert answer.status_code == 413
            assert "2,000 bytes" in answer.json()["error"]


def test_other_origins_are_refused_and_those_of_the_configuration_admitted() -> None:
    # A12
    wish = {"q": "ab", "source": "de", "target": "en"}
    page = {"Origin": "https://example.org"}
    with service_of(Shouter()) as service, client_of(service) as client:
        answer = client.post("/translate", json=wish, headers=page)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    for origins in (["https://example.org"], ["*"]):
        with service_of(Shouter(), cors_origins=origins) as service, client_of(service) as client:
            answer = client.post("/translate", json=wish, headers=page)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, origins[0])
            assert "Access-Control-Allow-Credentials" not in answer.headers
            asked = client.options("/translate", headers=page | {"Access-Control-Request-Method": "POST"})
            assert asked.status_code == 204
            assert client.post("/api/traces", json={}, headers=page).status_code == 403


def test_a_model_is_closed_for_another_one_and_not_while_it_is_used() -> None:
    opened: list[str] = []

    def pair(source: str, size: int) -> Any:
        shouter = Shouter(source)
        return pair_of(shouter, weights_bytes=size, open=lambda: opened.append(source) or shouter)

    first, second, third = pair("de", 60), pair("fr", 30), pair("it", 30)
    pool = ModelPool([first, second, third], limit_bytes=100)
    pool.open_what_fits()
    assert opened == ["de", "fr"]
    with pool.used(third):  # the one that was not used longest goes
        assert (opened, pool.open_bytes) == (["de", "fr", "it"], 60)
        with pool.used(second), pytest.raises(Refusal, match="memory"), pool.used(first):
            pass
    with pool.used(first):
        assert pool.open_bytes <= 100


def _libre(client: Any, text: str, *, deadline: str | None = None, raw: bool = False) -> Any:
    headers = {} if deadline is None else {"X-Deadline-Seconds": deadline}
    answer = client.post("/translate", json={"q": text, "source": "de", "target": "en"}, headers=headers)
    return answer if raw else answer.json()


def _wait_for(is_so: Any) -> None:
    import time

    for _ in range(6000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it never came to it")
