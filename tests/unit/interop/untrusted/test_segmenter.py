"""A stranger's SentencePiece file is opened in a child with limits; what kills the child does not reach us."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.unit.interop.kit import segmenter

from pellucid.errors import BundleError
from pellucid.interop.untrusted import segmenter as room
from pellucid.interop.untrusted.segmenter import foreign_segmenter


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_found_sound", {})


def child_that_runs(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the child run another program after it has limited itself, in place of opening the file."""
    start = "import sys; from pellucid.interop.untrusted.sentencepiece_child import limit; limit()\n"
    monkeypatch.setattr(room, "_COMMAND", (sys.executable, "-P", "-c", start + textwrap.dedent(program)))


def test_a_sound_file_is_opened_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    right = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(k["env"]) or right(*a, **k))
    model = segmenter(1)
    assert foreign_segmenter(model, place="source.spm").pieces == foreign_segmenter(model, place="again").pieces
    assert len(calls) == 1
    # Nothing of our own environment goes there: no tokens, no proxies, no preloaded libraries.
    assert set(calls[0]) <= {"PYTHONPATH", "PYTHONUTF8", "OMP_NUM_THREADS", "SYSTEMROOT"}


def test_the_child_says_what_the_walk_says() -> None:
    model = segmenter(1)
    answer = room._ask_child(model, place="x")
    walked = foreign_segmenter(model, place="x").file
    assert answer["pieces"] == list(walked.pieces)
    assert answer["types"] == list(walked.types)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("sys.exit(3)", "exit status 3"),
        ("print('[]')", "gave no answer"),
        ("print('{')", "gave no answer"),
        ('print(\'{"error": "bad header"}\')', r"cannot read it \(bad header\)"),
        ('print(\'{"pieces": [], "types": []}\')', "other pieces"),
        ("kept = bytearray(3 << 30)", "ended the process"),
        ("open('written', 'wb').write(bytes(600 << 20))", "ended the process"),
    ],
)
def test_what_happens_in_the_child_is_told(
    program: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    child_that_runs(monkeypatch, program)
    with pytest.raises(BundleError, match=rf"source\.spm: .*{words}"):
        foreign_segmenter(segmenter(1), place="source.spm")


def test_an_endless_child_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    child_that_runs(monkeypatch, "import time\nwhile True: time.sleep(1)")
    monkeypatch.setattr(room, "WALL_SECONDS", 1)
    with pytest.raises(BundleError, match="did not open it within 1 seconds"):
        foreign_segmenter(segmenter(1), place="source.spm")


def test_processor_time_is_limited() -> None:
    resource = pytest.importorskip("resource")
    from pellucid.interop.untrusted import sentencepiece_child as child

    program = "from pellucid.interop.untrusted.sentencepiece_child import limit; limit(); import resource, json; "
    program += "print(json.dumps("
    program += "[resource.getrlimit(k) for k in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=room._environment())
    seconds, memory, core = json.loads(done.stdout)
    assert seconds[0] <= child.PROCESSOR_SECONDS
    assert memory[0] <= child.MEMORY_BYTES
    assert core == [0, 0]
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 or seconds  # ours stay as they are


def test_a_damaged_file_is_refused_by_the_walk_before_any_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_ask_child", lambda *a, **k: pytest.fail("the child was asked"))
    with pytest.raises(BundleError, match=r"source\.spm"):
        foreign_segmenter(segmenter(1)[:-7], place="source.spm")


def test_the_child_answers_a_file_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="cannot read it"):
        room._ask_child(b"no model", place="source.spm")


def test_the_child_is_a_plain_program(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from pellucid.interop.untrusted import sentencepiece_child as child

    monkeypatch.setattr(child, "limit", lambda: None)  # this is our own process
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(segmenter(1))))
    child.main()
    assert json.loads(capsysbinary.readouterr().out)["pieces"]
