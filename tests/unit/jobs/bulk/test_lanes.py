"""Several runners share the parts of a file, and nothing of the output shows which of them ran a part."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.jobs.bulk.shouting import expected, run, shout, work, written

import pellucid
from pellucid.errors import BundleError
from pellucid.jobs import translate as job
from pellucid.jobs.bulk import search
from pellucid.jobs.bulk.lanes import Lanes
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.work import Finished
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.runtime import devices_of

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"


class Device:
    """A runner that counts, and that waits until the other one has begun."""

    def __init__(self, gate: threading.Barrier | None = None) -> None:
        self.parts: list[int] = []
        self.running = self.most = 0
        self._gate = gate
        self._lock = threading.Lock()

    def __call__(self, part: Part, advance: Callable[[int], None]) -> Finished:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.parts.append(part.number)
        if self._gate is not None and len(self.parts) == 1:
            self._gate.wait(600)
        try:
            return shout(part, advance)
        finally:
            with self._lock:
                self.running -= 1


def test_every_device_runs_parts_and_the_output_is_that_of_one_pass(tmp_path: Path) -> None:
    gate = threading.Barrier(2)
    devices = [Device(gate), Device(gate)]
    lanes = Lanes([(device, 1) for device in devices])
    source, output = written(tmp_path)
    text, tally = expected(source)
    assert run(source, output, work(lanes, at_once=lanes.at_once)) == tally
    assert output.read_text() == text
    assert sorted(devices[0].parts + devices[1].parts) == [*range(1, 13)]
    assert all(device.parts for device in devices)


def test_a_device_never_runs_more_at_once_than_it_can(tmp_path: Path) -> None:
    devices = [Device(), Device()]
    lanes = Lanes([(devices[0], 2), (devices[1], 1)])
    source, output = written(tmp_path, b"".join(b"zeile %d\n" % number for number in range(200)))
    run(source, output, work(lanes, at_once=7))
    assert lanes.at_once == 3
    assert devices[0].most <= 2
    assert devices[1].most <= 1


def test_what_one_device_raises_ends_the_job_and_the_finished_parts_stay(tmp_path: Path) -> None:
    def broken(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number > 4:
            raise RuntimeError("out of order")
        return shout(part, advance)

    source, output = written(tmp_path)
    lanes = Lanes([(shout, 1), (broken, 1)])
    with pytest.raises(RuntimeError, match="out of order"):
        run(source, output, work(lanes, at_once=2))
    run(source, output)
    assert output.read_text() == expected(source)[0]


def translated(folder: Path, name: str, said: list[str], **options: object) -> str:
    source = folder / "in"
    source.write_text("".join(f"I see {number} red cars.\nThe cat is small.\n\n" for number in range(24)))
    job.translate_file(
        MODEL,
        str(source),
        output=folder / name,
        format=job.OutputFormat.TEXT,
        options=TranslationOptions(**options),  # type: ignore[arg-type]
        say=said.append,
    )
    return (folder / name).read_text()


def test_a_file_is_divided_among_all_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"device": "cpu", "engine": "device", "settings": ["beam_size=1"]}
    said: list[str] = []
    alone = translated(tmp_path, "alone", said, **options)
    assert len(said) == 1
    monkeypatch.setattr(job, "devices_of", lambda device: ("cpu", "cpu"))
    assert translated(tmp_path, "both", said, **options) == alone
    assert said[2:] == ["parts are divided among 2 devices: cpu, cpu"]


def test_all_devices_have_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "devices_of", lambda device: ("cpu", "cpu"))
    monkeypatch.setattr(search, "_model_sha256", lambda translator, model: str(id(translator)))
    with pytest.raises(BundleError, match="another model took its place"):
        translated(tmp_path, "out", [], device="cpu", engine="device")


@pytest.mark.parametrize(
    ("device", "count", "devices"),
    [
        ("auto", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda", 2, ("cuda:0", "cuda:1")),
        ("auto", 1, ("auto",)),
        ("cuda:1", 2, ("cuda:1",)),
        ("cpu", 2, ("cpu",)),
        ("auto", 0, ("auto",)),
    ],
)
def test_all_gpus_are_used_unless_one_is_named(
    device: str, count: int, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.runtime.has_gpu", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert devices_of(device) == devices
