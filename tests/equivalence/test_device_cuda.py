"""The device engine on a GPU: recorded steps find what the eager search finds, and nothing waits or allocates in them.

What a processor can prove is in ``test_device_engine.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.equivalence.clear_models import clear_model, sentences
from tests.equivalence.device_kit import by_torch, engine_of, refuse_difference, request

import pellucid
from pellucid.jobs.models import open_translator
from pellucid.runtime import Runtime
from pellucid.translation.engines.device.engine import DeviceEngine

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
TEXT = "The animal didn't cross the street because it was too wide."
SEARCHES: dict[str, dict[str, object]] = {
    "greedy": {"beam_size": 1},
    "beam 5": {"beam_size": 5},
    "beam 10": {"beam_size": 10},
    "list of 4": {"beam_size": 4, "n_best": 4},
    "gnmt": {"beam_size": 5, "length_penalty": "gnmt", "alpha": 0.6},
    "minimum length": {"beam_size": 4, "min_length": 9},
    "short limit": {"beam_size": 4, "max_length_factor": 0.2, "max_length_constant": 2},
}


@pytest.fixture(autouse=True)
def _settings_of_a_job() -> Iterator[None]:
    has_cudnn = torch.backends.cuda.cudnn_sdp_enabled()
    Runtime.detect(device="cuda").apply()
    yield
    torch.backends.cuda.enable_cudnn_sdp(has_cudnn)


def refuse_message(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize("rows_at_once", [0, 24])
@pytest.mark.parametrize("search", SEARCHES)
def test_recorded_steps_give_the_hypotheses_of_torch(search: str, rows_at_once: int) -> None:
    model = clear_model(d_model=64, num_heads=2).cuda()
    wanted = request(sentences(41), SEARCHES[search])
    engine = engine_of(model, rows_at_once=rows_at_once, say=refuse_message)
    expected = by_torch(model, wanted)
    for _ in range(2):  # recorded in the first, and replayed from the beginning in the second
        refuse_difference(dict(engine.search(wanted)), expected)


def test_recorded_steps_do_not_wait_and_allocate_nothing_more() -> None:
    engine = engine_of(clear_model(d_model=64, num_heads=2).cuda(), say=refuse_message)
    wanted = request(sentences(41), {"beam_size": 4})
    dict(engine.search(wanted))
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["num_alloc_retries"], torch.cuda.memory_reserved()
    ((_, step), *_) = engine._idle
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            for target, source in list(step._recorded):
                step(target, source)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    assert (torch.cuda.memory_stats()["num_alloc_retries"], torch.cuda.memory_reserved()) == before


def test_two_threads_search_at_once() -> None:
    model = clear_model(d_model=64, num_heads=2).cuda()
    engine = engine_of(model, rows_at_once=48, say=refuse_message)
    wanted = [request(sentences(30, seed=seed), {"beam_size": 3 + seed}) for seed in range(2)]
    found: dict[int, object] = {}

    def search(number: int) -> None:
        found[number] = dict(engine.search(wanted[number]))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        refuse_difference(found[number], by_torch(model, wanted[number]))


def test_what_cannot_be_recorded_runs_eagerly_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.translation.engines.device import engine as module

    plain = module.advance

    def looking(*arguments: object) -> None:
        plain(*arguments)
        arguments[1].status.tolist()  # waits for the device, which no recording may do

    monkeypatch.setattr(module, "advance", looking)
    model, said = clear_model(d_model=64, num_heads=2).cuda(), []
    engine = engine_of(model, say=said.append)
    wanted = request(sentences(20), {"beam_size": 4})
    for _ in range(2):
        refuse_difference(dict(engine.search(wanted)), by_torch(model, wanted))
    (line,) = said
    assert line.startswith("the device engine runs without CUDA graphs, and slower: a step cannot be recorded: ")


def test_bf16_is_the_default_and_close_and_checked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    said: list[str] = []
    translator = open_translator(MODEL, say=said.append)
    expected = open_translator(MODEL, engine="torch").translate(TEXT)
    found = translator.translate(TEXT)
    assert translator.engines_used == ("device (bf16)",)
    assert said[0].startswith("checking the device engine with this model on ")
    assert "the fastest on a GPU; weights are rounded to 8 significant bits" in said[1]
    assert found.text == expected.text
    assert found.score == pytest.approx(expected.score, abs=0.05)
    again: list[str] = []
    open_translator(MODEL, say=again.append)
    assert again == said[1:]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device on this machine")
def test_every_device_records_its_own_steps() -> None:
    """torch's default stream for recordings belongs to the device that came first."""
    wanted = request(sentences(20), {"beam_size": 4})
    for number in range(2):
        model = clear_model(d_model=64, num_heads=2).to(f"cuda:{number}")
        engine = DeviceEngine(model, say=refuse_message)
        for _ in range(2):
            refuse_difference(dict(engine.search(wanted)), by_torch(model, wanted))
