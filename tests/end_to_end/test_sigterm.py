"""SIGTERM ends a verb as Ctrl-C does: with a message, status 75, and nothing lost. Real processes get the signal."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.forked import Started

from pellucid.signals import HeldInterrupt, RaiseOnSigterm, Terminated

from .conftest import Command
from .test_bulk import LINES, begun, wait_for_part

SETTINGS = ("beam_size=1", "max_length_constant=40", "max_length_factor=1.0")
SLOW = tuple(word for setting in SETTINGS for word in ("--set", setting))
"""A model without training seldom ends a sentence."""


def terminated(process: Started) -> str:
    """Send SIGTERM; return what the process said before it ended with status 75."""
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1].decode()
    assert process.returncode == 75, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("verb", ["translate", "synthesize"])
def test_parts_are_kept_and_the_same_command_continues(
    verb: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("\n".join(f"{number} {line}" for number, line in enumerate(LINES)))
    output = tmp_path / "out"
    arguments = (verb, tiny_model, tmp_path / "x", "--output", output, "--chunk-lines", "64", "--engine", "torch")
    options = (*SLOW, *(("--set", "drop_flags=[]") if verb == "synthesize" else ()))
    process = begun((*arguments, *options))
    wait_for_part(process, tmp_path / "out.parts")
    said = terminated(process)
    assert "of 300 lines are finished and kept in" in said
    assert "the same command continues" in said
    assert not output.exists()
    again = command(*arguments, *options)
    assert "continuing" in again.err
    assert again.status == 0
    assert output.read_text().count("\n") == 300


def test_a_verb_that_keeps_nothing_says_so(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).write_text("\n".join(LINES * 40))
    files = ("--src", tmp_path / "x", "--ref", tmp_path / "y", "--json", tmp_path / "report")
    process = begun(("evaluate", tiny_model, *files, "--engine", "native", *SLOW))
    assert process.stderr is not None
    assert b"engine" in process.stderr.readline()
    assert "stopped by SIGTERM; the same command does what is left" in terminated(process)
    assert not (tmp_path / "report").exists()


def pressed(times: int, *, is_held: bool, kind: signal.Signals) -> tuple[bool, bool]:
    """Send a signal; return whether what stood after that was done, and whether it was interrupted in the end."""
    is_done = False
    try:
        with (
            RaiseOnSigterm(Terminated),
            HeldInterrupt() as interruption,
            interruption.held() if is_held else nullcontext(),
        ):
            for _ in range(times):
                os.kill(os.getpid(), kind)
            is_done = True
    except KeyboardInterrupt:
        return is_done, True
    return is_done, False


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_for_the_end_of_a_line_and_a_second_one_does_not(kind: signal.Signals) -> None:
    before = signal.getsignal(kind)
    assert pressed(0, is_held=True, kind=kind) == (True, False)
    assert pressed(1, is_held=True, kind=kind) == (True, True)
    assert pressed(2, is_held=True, kind=kind) == (False, True)
    assert pressed(1, is_held=False, kind=kind) == (False, True)
    assert signal.getsignal(kind) is before


def test_sigterm_waits_for_the_end_of_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may catch the errors of its imports, and then the signal would be lost and a module half there."""
    (tmp_path / "slow_to_import.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(0.3)\n"
        "except BaseException:\n"
        "    swallowed = True\n"
        "is_whole = True\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Terminated), RaiseOnSigterm(Terminated):
        time.sleep(10 if importlib.import_module("slow_to_import").is_whole else 0)
    module = sys.modules["slow_to_import"]
    assert module.is_whole
    assert not hasattr(module, "swallowed")
