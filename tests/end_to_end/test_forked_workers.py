"""A loaded model works in processes that are forked from the one that loaded it, and its memory has an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.jobs.serve import walkthrough_folder

SOURCE = Path(__file__).resolve().parents[2] / "src"

_SENTENCE = "I am a student."
_START = """
import multiprocessing, os, sys
import torch
import pellucid

translator = pellucid.load(sys.argv[1], threads=2)
torch.ones(700, 700) @ torch.ones(700, 700)  # the second thread exists from here on

def translated(text):
    return translator.translate(text, beam_size=1).text
"""
_POOL = """
expected = translated(sys.argv[2])
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(translated, [sys.argv[2]] * 3).get(600)
assert found == [expected] * 3, (found, expected)
print(expected)
"""
_CHILDREN = """
def in_a_child(work):
    child = os.fork()
    if not child:
        work()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def of_a_greedy_translation():
    print(torch.get_num_threads(), translated(sys.argv[2]))

def of_a_sample_first():
    sampled = translator.translate(sys.argv[2], sampling=True)
    print(torch.get_num_threads(), bool(sampled.text), translated(sys.argv[2]))

def of_a_load():
    try:
        pellucid.load(sys.argv[1], engine="torch", threads=2)
    except pellucid.PellucidError as error:
        print(error)
    print(pellucid.load(sys.argv[1]).translate(sys.argv[2], beam_size=1).text)

for work in (of_a_greedy_translation, of_a_sample_first, of_a_load):
    in_a_child(work)
"""


def run(code: str) -> str:
    """Run a script of a user in a process of its own; one that hangs fails by the time-out."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        # Python 3.12 and newer warn of every fork of a process with threads; this is about such forks.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _START + code, str(walkthrough_folder()), _SENTENCE],
        env=environment | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow  # two threads beside a busy neighbour take many seconds for a sentence
def test_a_pool_of_forked_workers_translates_as_the_parent_does() -> None:
    assert run(_POOL) == "Je suis étudiant."


@pytest.fixture(scope="module")
def of_children() -> list[str]:
    """Return the lines of the children, which are forked before the parent translates its first sentence."""
    return run(_CHILDREN).splitlines()


def test_a_fork_computes_on_one_thread(of_children: list[str]) -> None:
    assert of_children[0] == "1 Je suis étudiant."


def test_a_fork_opens_the_model_itself_later_and_computes_on_one_thread(of_children: list[str]) -> None:
    assert of_children[1] == "1 True Je suis étudiant."


def test_a_fork_that_asks_for_two_threads_is_refused_and_may_load_without(of_children: list[str]) -> None:
    refusal, translation = of_children[2:]
    assert refusal.startswith("threads = 2: this process was forked")
    assert translation == "Je suis étudiant."
