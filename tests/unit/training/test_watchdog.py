"""A step that hangs ends its process and says where; a process that does not answer is named."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from pellucid.training.processes.lives import Lives
from pellucid.training.processes.watchdog import Watchdog

HANGING = """
import time
from pellucid.training.processes.watchdog import Watchdog
dog = Watchdog(0.2, describe=lambda: "step 7")
def the_step_that_hangs():
    time.sleep(60)
with dog.watching():
    the_step_that_hangs()
"""


def test_a_step_that_hangs_shows_its_threads_and_ends_with_75() -> None:
    result = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 75
    assert result.stderr.startswith("step 7 takes longer than training.hang_seconds = 0.2, so this process ends;")
    assert "the_step_that_hangs" in result.stderr


def test_time_outside_of_a_step_does_not_count() -> None:
    ended = threading.Event()
    with Watchdog(0.5, describe=lambda: "too long", end=lambda text: ended.set()) as dog:
        for _ in range(8):
            with dog.watching():
                pass
            time.sleep(0.1)
    assert not ended.is_set()


class Texts(dict[str, str]):
    """A store of one process."""

    def set(self, key: str, value: str) -> None:
        self[key] = value

    def get(self, key: str) -> bytes:  # type: ignore[override]
        if key not in self:
            raise RuntimeError("wait timeout")
        return self[key].encode()


def test_the_process_that_gives_no_sign_is_named() -> None:
    store = Texts()
    first, second, third = (Lives(store, rank=rank, count=3, seconds=0.15) for rank in range(3))
    assert first.silent() == ()
    third.close()
    time.sleep(0.1)
    assert first.silent() == (2,)
    del store["pellucid/alive/1"]
    second.close()
    time.sleep(0.1)
    assert third.silent() == (1,)
    first.close()


def test_a_process_without_a_sign_is_named_while_training_waits_for_it() -> None:
    store, named, ended = Texts(), [], threading.Event()

    def on_silence(ranks: tuple[int, ...]) -> None:
        named.append(ranks)
        ended.set()

    first, second, third = (Lives(store, rank=rank, count=3, seconds=0.05) for rank in range(3))
    with first.watching(on_silence), second.watching(lambda ranks: None):
        second_read = store["pellucid/alive/1"]
        third.close()
        assert ended.wait(600)
    assert named == [(2,)]
    assert store["pellucid/alive/1"] != second_read
    first.close()
    second.close()


def test_nobody_is_named_while_nobody_waits_or_all_are_alive() -> None:
    store, named = Texts(), []
    first, second = (Lives(store, rank=rank, count=2, seconds=0.02) for rank in range(2))
    with first.watching(named.append):
        while int(store["pellucid/alive/0"]) < 80:
            time.sleep(0.01)
    second.close()
    begun = int(store["pellucid/alive/0"])
    while int(store["pellucid/alive/0"]) < begun + 80:
        time.sleep(0.01)
    first.close()
    assert not named
