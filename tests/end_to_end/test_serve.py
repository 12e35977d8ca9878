"""The real command serves the page over a real socket, and ends when it is told to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.forked import Started
from tests.models import random_model, save_model

from pellucid.config import TranslationConfig

PATIENCE_SECONDS = 600
"""Ends a test that hangs. On a busy machine everything takes as long as it takes."""
FEW = TranslationConfig(beam_size=2, max_length_constant=5, max_length_factor=0.1)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("serve") / "toy", random_model(), translation=FEW, dtype=torch.float16)


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, Started, list[str]]]:
    """Start the command; yield its address, the process and what it said so far."""
    process = Started("-m", "pellucid", "serve", *arguments, stderr=subprocess.PIPE, text=True)
    try:
        said: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"look inside: (http://\S+)", line):
                yield found[1], process, said
                break
        else:
            pytest.fail("".join(said))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


def fetched(address: str, body: object = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    ("number", "status", "host"), [(signal.SIGINT, 130, "127.0.0.1"), (signal.SIGTERM, 0, "0.0.0.0")]
)
def test_the_command_serves_and_ends(model_folder: Path, number: int, status: int, host: str) -> None:
    public = ["--insecure-public"] if host == "0.0.0.0" else []
    options = ["--port", "0", "--threads", "1", "--host", host, *public]
    with served(str(model_folder), *options) as (address, process, said):
        assert ("other machines can reach" in "".join(said)) is (host == "0.0.0.0")
        assert address.startswith("http://127.0.0.1:")
        assert "toy: de → en" in "".join(said)
        assert fetched(address)[1].startswith(b"<!doctype html>")
        code, body = fetched(f"{address}api/traces", {"model": "toy", "source": "ab"})
        manifest = json.loads(body)
        assert code == 201
        assert manifest["provenance"]["weights_dtype"] == "float16"
        assert manifest["check"]["passed"]
        assert fetched(f"{address}api/traces/{manifest['id']}/atlas")[0] == 200
        assert fetched(f"{address}api/traces/other")[0] == 410
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == status
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
