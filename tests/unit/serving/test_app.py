"""Every path over HTTP says what the pure layer says; what is refused is refused in a sentence, as JSON."""

from __future__ import annotations

import gzip
import json
import re
import threading
from types import ModuleType

import numpy as np
import pytest

from pellucid.jobs.surface import Trace
from pellucid.page import answers_trace
from pellucid.page.answers_model import model_answer
from pellucid.page.answers_trace import make_record, trace_answer
from pellucid.page.assembly import TEMPLATE, web_files
from pellucid.serving import app

from .kit import ask, client, opened_model

OPENED = opened_model()
SERVER = client(OPENED)
MANIFEST = ask(SERVER).json()
AT = f"/api/traces/{MANIFEST['id']}"


def test_the_page_and_its_files_are_served() -> None:
    page = SERVER.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self' 'sha256-" in page.headers["content-security-policy"]
    kinds = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
    for path, content in web_files().items():
        if path == TEMPLATE:
            continue
        answer = SERVER.get(f"/web/{path}")
        assert answer.content == content
        if (suffix := path.rpartition(".")[2]) in kinds:
            assert answer.headers["content-type"].startswith(kinds[suffix])
    for path in (f"/web/{TEMPLATE}", "/web/nothing.js", "/web/../app.py", "/web/%2e%2e/app.py", "/web/"):
        assert SERVER.get(path).status_code == 404


@pytest.mark.parametrize(
    ("rest", "query"),
    [
        ("", {}),
        ("weights/encoder.layers.0.self_attention.keys.weight", {"head": "1"}),
        ("rows/source", {"ids": "3,17"}),
        ("positions", {"length": "5"}),
        ("neighbours/target/70", {}),
        ("vocabulary/source", {}),
    ],
)
def test_a_model_over_http_is_the_model(rest: str, query: dict[str, str]) -> None:
    answer = SERVER.get(f"/api/models/toy/{rest}".rstrip("/"), params=query)
    expected = model_answer(OPENED, rest, query)
    assert answer.content == expected.body
    assert answer.headers["content-type"] == expected.media_type
    if expected.shape:
        assert answer.headers["x-shape"] == ",".join(map(str, expected.shape))
        assert answer.headers["x-dtype"] == expected.dtype


@pytest.mark.parametrize(
    ("rest", "query"),
    [
        ("heads", {}),
        ("atlas", {}),
        ("changes", {}),
        ("shares/decoder.1.cross_attention", {"row": "2"}),
        ("sites/decoder.1.cross_attention.weights", {"head": "2", "row": "1"}),
        ("sites/decoder.0.self_attention.may_attend", {}),
    ],
)
def test_a_trace_over_http_is_the_trace(rest: str, query: dict[str, str]) -> None:
    record = make_record(OPENED, "ab c", trace_id=MANIFEST["id"])
    answer = SERVER.get(f"{AT}/{rest}", params=query)
    expected = trace_answer(record, rest, query)
    assert answer.content == expected.body
    if expected.shape:
        assert answer.headers["x-shape"] == ",".join(map(str, expected.shape))


def test_the_manifest_is_found_again() -> None:
    assert SERVER.get(AT).json() == MANIFEST
    (model,) = SERVER.get("/api/models").json()["models"]
    assert MANIFEST["model"] == model["id"] == "toy"


def test_the_exported_trace_is_the_trace(tmp_path_factory: pytest.TempPathFactory) -> None:
    answer = SERVER.get(f"/export/{MANIFEST['id']}.npz")
    assert "attachment" in answer.headers["content-disposition"]
    path = tmp_path_factory.mktemp("export") / "t.npz"
    path.write_bytes(answer.content)
    assert Trace.load(path) == make_record(OPENED, "ab c", trace_id="t").trace
    for wrong, status in (
        (f"{MANIFEST['id']}.exe", 404),
        (MANIFEST["id"], 404),
        ("other.npz", 410),
        ("other.html", 410),
    ):
        assert SERVER.get(f"/export/{wrong}").status_code == status


def test_the_exported_page_carries_the_trace_and_no_address_of_the_server() -> None:
    answer = SERVER.get(f"/export/{MANIFEST['id']}.html")
    assert answer.status_code == 200
    assert 'filename="trace.html"' in answer.headers["content-disposition"]
    assert answer.headers["content-type"].startswith("text/html")
    found = re.search(r'<script type="application/json" data-path="(api/traces/\w+)">(.*?)</script>', answer.text)
    assert found is not None
    carried = json.loads(found[2])
    assert {**carried, "id": "", "seconds": 0} == {**MANIFEST, "id": "", "seconds": 0}
    assert carried["id"] in found[1]
    assert MANIFEST["id"] not in answer.text


def test_answers_are_compressed_where_it_is_wished() -> None:
    whole = SERVER.get(f"{AT}/heads", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in whole.headers
    with SERVER.stream("GET", f"{AT}/heads", headers={"Accept-Encoding": "br, gzip;q=0.5"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == whole.content
    refused = SERVER.get(f"{AT}/heads", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


@pytest.mark.parametrize("path", ["/", "/web/modules/main.js", "/api/models", "/api/models/toy", "{at}", "{at}/atlas"])
def test_what_is_known_is_not_sent_again(path: str) -> None:
    path = path.format(at=AT)
    first = SERVER.get(path)
    again = SERVER.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert SERVER.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_different_answers_have_different_etags() -> None:
    site = f"{AT}/sites/encoder.0.self_attention.weights"
    other = ask(SERVER, "ab d").json()["id"]
    paths = [AT, f"{AT}/atlas", site, f"{site}?head=0", f"{site}?head=1", f"/api/traces/{other}/atlas"]
    assert len({SERVER.get(path).headers["etag"] for path in paths}) == len(paths)
    assert "immutable" in SERVER.get(site).headers["cache-control"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"no json", 400, "not JSON"),
        (b"[1]", 400, "must be an object"),
        (b'{"model": "toy"}', 400, "'source' is missing"),
        (b'{"model": "toy", "source": 3}', 400, "must be text"),
        (b'{"model": "toy", "source": "a", "beam": 3}', 400, "'beam' is unknown"),
        (b'{"model": "toy", "source": "a", "settings": {"beam_size": 0}}', 400, "beam_size"),
        (b'{"model": "toy", "source": "a", "settings": {"batch_size": 1}}', 400, "settings.batch_size"),
        (b'{"model": "toy", "source": "  "}', 400, "blank"),
        (b'{"model": "toy", "source": "\\ud800"}', 400, "surrogate"),
        (b'{"model": "toy", "source": "' + b"a" * 100 + b'"}', 400, "limit of a trace is 66"),
        (b'{"model": "other", "source": "a"}', 404, "'other'"),
        (b'{"model": "toy", "source": "' + b"a" * (64 << 10) + b'"}', 413, "64 KB"),
    ],
)
def test_a_wrong_wish_is_refused_in_a_sentence(body: bytes, status: int, says: str) -> None:
    answer = SERVER.post("/api/traces", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/models/other", 404),
        ("GET", "/api/models/toy/soul", 404),
        ("GET", "/api/models/toy/rows/source?ids=x", 400),
        ("GET", "/api/models/toy/rows/source?ids=1&ids=2", 400),
        ("GET", "/api/traces/0123", 410),
        ("GET", "{at}/sites/soul", 404),
        ("GET", "/api/traces", 405),
        ("DELETE", "{at}", 405),
        ("POST", "/", 405),
    ],
)
def test_every_error_is_json(method: str, path: str, status: int) -> None:
    answer = SERVER.request(method, path.format(at=AT))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["error"]) > 10


def test_a_form_is_no_wish() -> None:
    answer = SERVER.post("/api/traces", data={"model": "toy", "source": "a"})
    assert answer.status_code == 415


def test_a_failure_is_told_and_nothing_of_it_leaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("pellucid.serving.app.trace_answer", fail)
    answer = SERVER.get(f"{AT}/atlas")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "a secret" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("module", "name", "path"),
    [
        (answers_trace, "make_trace", "/api/traces"),
        (app, "trace_answer", "{at}/atlas"),
        (app, "model_answer", "/api/models/toy"),
        (app, "trace_bytes", "/export/{id}.npz"),
    ],
)
def test_others_are_answered_while_one_computes(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, path: str
) -> None:
    path = path.format(at=AT, id=MANIFEST["id"])
    begun, goes_on = threading.Event(), threading.Event()
    work = getattr(module, name)

    def slow(*args: object, **options: object) -> object:
        begun.set()
        assert goes_on.wait(600)
        return work(*args, **options)

    monkeypatch.setattr(module, name, slow)
    statuses: list[int] = []
    with SERVER as server:
        thread = threading.Thread(
            target=lambda: statuses.append((ask(server) if path == "/api/traces" else server.get(path)).status_code)
        )
        thread.start()
        assert begun.wait(600)
        patience = threading.Timer(300, goes_on.set)  # where it does block, it is told and does not hang
        patience.start()
        assert server.get("/api/models").status_code == 200
        assert not goes_on.is_set()
        patience.cancel()
        goes_on.set()
        thread.join(600)
    assert statuses == [201 if path == "/api/traces" else 200]


def test_a_page_of_thirty_pieces_moves_at_most_150_kilobytes() -> None:
    opened = opened_model(
        num_encoder_layers=6, num_decoder_layers=6, num_heads=8, d_model=128, d_feedforward=512, max_positions=64
    )
    server = client(opened)
    sentence = "a" * 29
    made = server.post("/api/traces", json={"model": "toy", "source": sentence, "target": "b" * 29})
    manifest = made.json()
    assert len(manifest["tokens"]["source_pieces"]) == len(manifest["tokens"]["fed_pieces"]) == 30
    at = f"/api/traces/{manifest['id']}"
    sizes = {
        name: int(server.get(path, headers={"Accept-Encoding": "gzip"}).headers["content-length"])
        for name, path in {
            "models": "/api/models",
            "model": "/api/models/toy",
            "manifest": at,
            "heads": f"{at}/heads",
            "atlas": f"{at}/atlas",
            "site": f"{at}/sites/encoder.5.self_attention.weights",
        }.items()
    }
    assert sum(sizes.values()) <= 150_000, sizes
    whole = server.get(at, headers={"Accept-Encoding": "identity"})
    assert len(whole.content) < 15_000
    assert np.isfinite(json.loads(whole.content)["predictions"]["entropy"]).all()
