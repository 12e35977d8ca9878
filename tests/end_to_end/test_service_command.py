"""The command as a service: other machines need keys, SIGTERM loses no request, keys are made."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.commands import Command
from tests.end_to_end.live_service import wait_until_ready
from tests.end_to_end.test_service_clients import FEW
from tests.forked import Started
from tests.models import random_model, save_model

PATIENCE_SECONDS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("command") / "toy", random_model(), translation=FEW)


def test_other_machines_need_keys(folder: Path, command: Command, tmp_path: Path) -> None:
    # A11
    done = command("serve", folder, "--host", "0.0.0.0", "--port", "0")
    assert done.status == 1
    assert "without a key" in done.err
    assert "--new-key" in done.err
    made = command("serve", "--new-key", "cat")
    assert made.status == 0
    key, _, lines = made.out.partition("\n")
    assert hashlib.sha256(key.encode()).hexdigest() in lines
    config = tmp_path / "serve.toml"
    config.write_text(f'host = "0.0.0.0"\nport = 0\n[[models]]\npath = "{folder}"\n{lines}', encoding="utf-8")
    process = started("--config", config)
    try:
        address = address_in(process)
        wait_until_ready(address)
        assert status_of(address) == 404  # no page
        wish = {"q": "ab", "source": "de", "target": "en"}
        assert status_of(f"{address}translate", wish) == 400, "as LibreTranslate says that a key is needed"
        assert status_of(f"{address}translate", wish | {"api_key": key}) == 200
    finally:
        process.kill()
        process.communicate()


def test_sigterm_finishes_what_was_sent_and_says_so_before(folder: Path) -> None:
    # A7: requests go on during the notice; each that was accepted is answered.
    process = started(folder, "--port", "0")
    try:
        address = address_in(process)
        wait_until_ready(address)
        wish = {"q": ["ab cd. Ef gh!"] * 100, "source": "de", "target": "en"}
        answered: list[int] = []
        clients = [
            threading.Thread(target=lambda: answered.append(status_of(f"{address}translate", wish))) for _ in range(4)
        ]
        for client in clients:
            client.start()
        process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        assert answered == [200] * 4
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} SIGTERM: stopping; ", said, re.MULTILINE)
        assert re.search(r"^\d{4}-\S+ \S+ stopped; all is answered$", said, re.MULTILINE)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_takes_longer_than_the_drain_is_answered_too_and_the_end_is_clean(
    number: signal.Signals, tmp_path: Path
) -> None:
    """A thread in compiled code must not abort the process, and who waits is told to ask again."""
    model = save_model(tmp_path / "slow", random_model(d_model=240, d_feedforward=2048), translation=FEW)
    limits = "[limits]\nnotice_seconds = 0\ndrain_seconds = 1\n"
    config = tmp_path / "serve.toml"
    config.write_text(f'port = 0\n[[models]]\npath = "{model}"\n{limits}', encoding="utf-8")
    process = started("--config", config)
    try:
        address = address_in(process)
        wait_until_ready(address)
        wish = {"text": "ab cd. " * 500, "source": "de", "target": "en", "beam_size": 16, "keep": ["ab"]}
        answered: list[int] = []
        clients = [
            threading.Thread(target=lambda: answered.append(status_of(f"{address}v1/translate", wish)))
            for _ in range(3)
        ]
        for client in clients:
            client.start()
        time.sleep(2)
        process.send_signal(number)
        for client in clients:
            client.join()
        assert answered == [503] * 3
        assert process.wait(PATIENCE_SECONDS) == (0 if number == signal.SIGTERM else 130)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def started(*arguments: str | Path) -> Started:
    return Started("-m", "pellucid", "serve", *arguments, "--threads", "1", stderr=subprocess.PIPE, text=True)


def address_in(process: Started) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"(?:look inside|the service is at): (http://\S+)", line):
            return found[1]
    pytest.fail("the server did not start")


def status_of(address: str, body: object = None) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
