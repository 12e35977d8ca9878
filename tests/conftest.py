"""What every test run has in common."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time: a gate that fails by chance teaches people to press the button again.
# Deadlines are off, and so is the check that examples are made fast, because a busy machine is not a bug.
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gate")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every command that they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests remember out of the user's cache folder, and what is there out of the tests.

    The processes of a parallel run share one folder, so that the native engine is compiled once.
    """
    before = os.environ.get("PELLUCID_CACHE")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pellucid-cache"
    shared.mkdir(mode=0o700, exist_ok=True)
    os.environ["PELLUCID_CACHE"] = str(shared)
    yield
    if before is None:
        del os.environ["PELLUCID_CACHE"]
    else:
        os.environ["PELLUCID_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def _quick_disk() -> Iterator[None]:
    """Let the system choose when it writes to the disk.

    Tests kill processes and never the machine, so none could tell the difference, and a test that trains would wait for
    the disk some thirty times. A descriptor that is not open is still an error.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _verbs_are_read_once() -> Iterator[None]:
    """Keep what Typer makes of the verbs.

    It reads all signatures again for every command, which takes longer than most commands of a test.
    """
    import typer.testing

    with pytest.MonkeyPatch.context() as patch:
        verbs = functools.cache(typer.main.get_command)
        patch.setattr("typer.main.get_command", verbs)
        patch.setattr("typer.testing._get_command", verbs)
        yield


@functools.cache
def _threads() -> int:
    import torch  # not above: with several processes, the one that hands the tests out does without it

    return torch.get_num_threads()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test with the same number of threads, that of the first test.

    The last bit of a matrix product depends on it: [5, 18] by [18, 18] in float32 rounds otherwise with two threads
    than with one. A test that opens a model may set it for its whole process, and how busy the machine is decides
    which tests share a process. So what a module computed once and a test computes again would differ by chance.
    """
    import torch

    torch.set_num_threads(_threads())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while modules and tests come, nor later among them: they stay until the end.

    The collector would go through all of them again and again, a quarter of the time that the collection takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests that take minutes, or one process would end with one while the others have no more.

    Each process begins with one part of the tests in their order, so each part begins with some of the long ones.
    """
    minutes = {item: sum(mark.kwargs.get("minutes", 0) for mark in item.iter_markers("slow")) for item in items}
    long = sorted((item for item in items if minutes[item]), key=lambda item: -minutes[item])
    others = [item for item in items if not minutes[item]]
    count = getattr(config, "workerinput", {}).get("workercount", 1)
    ordered: list[pytest.Item] = []
    for number in range(count):
        size = (len(items) - len(ordered)) // (count - number)
        mine = long[number::count]
        room = max(0, size - len(mine))
        ordered += mine + others[:room]
        del others[:room]
    items[:] = ordered + others


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name octets by their argument: gzip writes the time into them, and all workers must name a test alike."""
    return argname if isinstance(val, bytes) else None
