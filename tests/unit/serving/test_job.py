"""Where the server listens, and which models it opens."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pellucid.config.service import KeyConfig, ServiceConfig
from pellucid.errors import BundleError, ConfigError
from pellucid.jobs import serve
from pellucid.jobs.service.opening import shows_page


def test_a_free_port_is_taken_where_the_usual_one_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(serve, "USUAL_PORT", port)
        with serve.listen("127.0.0.1") as taken:
            assert taken.getsockname()[1] not in (0, port)
        with pytest.raises(ConfigError, match=rf"--port {port}: .*in use.*leave --port out"):
            serve.listen("127.0.0.1", port)


def test_the_usual_port_is_taken_where_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket that is bound and does not listen keeps the port from other programs, and lets this one listen.
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port = kept.getsockname()[1]
    monkeypatch.setattr(serve, "USUAL_PORT", port)
    with kept, serve.listen("127.0.0.1") as taken:
        assert serve.address_of(taken, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert serve.address_of(taken, "::1") == f"http://[::1]:{port}/"
        assert serve.address_of(taken, "0.0.0.0") == f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("host", ["no.such.name.invalid", "192.0.2.1", "a b"])
def test_a_host_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=f"--host {host}"):
        serve.listen(host, 0)


def test_without_the_walkthrough_model_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "_WALKTHROUGH", tmp_path)
    with pytest.raises(BundleError, match="pellucid demo"):
        serve.open_catalogue([])


def test_the_demo_opens_the_walkthrough_model_and_its_own_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    walkthrough, run = tmp_path / "walkthrough", tmp_path / "run"
    monkeypatch.setattr(serve, "_WALKTHROUGH", walkthrough)
    with pytest.raises(BundleError, match="pellucid demo"):
        serve.demo_folders(run)
    for folder in (run / "model", walkthrough):
        folder.mkdir(parents=True)
        (folder / "model.toml").touch()
    assert serve.demo_folders(run) == [walkthrough, run]
    assert serve.demo_folders(tmp_path / "none") == [walkthrough]
    (walkthrough / "model.toml").unlink()
    assert serve.demo_folders(run) == [run]


def test_answers_on_kept_connections_do_not_wait_for_acknowledgements() -> None:
    async def accepted() -> int:
        delays: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            delays.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with serve.listen("127.0.0.1", 0) as taken:
            async with await asyncio.start_server(answer, sock=taken):
                _, writer = await asyncio.open_connection(*taken.getsockname())
                writer.close()
                return await delays

    assert asyncio.run(accepted()) == 1


def test_keys_and_names_hide_the_page_that_asks_for_no_key() -> None:
    keys = (KeyConfig(name="weblate", sha256="0" * 64),)
    assert shows_page(ServiceConfig())
    assert not shows_page(ServiceConfig(page=False))
    assert not shows_page(ServiceConfig(keys=keys))
    assert not shows_page(ServiceConfig(names=("translate.example.org",)))
    assert shows_page(ServiceConfig(keys=keys, page=True))
    assert not shows_page(ServiceConfig(host="0.0.0.0", keys=keys, page=True))
    assert shows_page(ServiceConfig(host="0.0.0.0", insecure_public=True))
