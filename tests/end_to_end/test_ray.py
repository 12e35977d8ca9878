"""A Ray cluster of two nodes on this machine: one of them ends in the middle, and the output is that of one process."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.end_to_end.ray_cluster import LocalCluster, local_cluster, processes_of
from tests.models import random_model, save_model

from pellucid.errors import ConfigError
from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.clusters.ray import translate_dataset, translate_file_on_ray
from pellucid.jobs.models import open_translator
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import OutputFormat, translate_file

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("max_length_factor=1.0", "max_length_constant=3", "beam_size=3")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'pellucid\[ray\]'"):
        translate_file_on_ray(tmp_path, "in", tmp_path / "out")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("no tests of Ray: pip install -c constraints.txt -e '.[test,ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
        with local_cluster() as cluster:
            yield cluster


@pytest.fixture(scope="module")
def large_cluster(cluster: LocalCluster) -> LocalCluster:
    """For datasets: reading, an actor and writing take a processor each."""
    cluster.add_node(processors=3)
    return cluster


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    return save_model(folder, random_model(seed=1), translation={"split_sentences": "never"})


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def members(output: Path) -> set[str]:
    """Return the processes that work on parts at this moment."""
    found = set()
    for lease in folder_for(output).glob("part-*.lease"):
        with suppress(OSError, ValueError):  # it was given back
            found.add(json.loads(lease.read_text())["member"])
    return found


@pytest.mark.slow
def test_what_ray_starts_for_tests_listens_on_the_loopback_address_only(cluster: LocalCluster) -> None:
    import ray

    def worker() -> int:
        return os.getpid()

    assert ray.get(ray.remote(worker).remote()) in processes_of(cluster.folder)
    addresses = cluster.listens_on()
    assert addresses
    assert all(ip_address(address).is_loopback for address in addresses), addresses


@pytest.mark.slow(minutes=1)
def test_a_file_on_a_cluster_that_loses_a_node(cluster: LocalCluster, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("".join(f"zeile {number} und noch eine\n" for number in range(2000)))
    given = {
        "format": OutputFormat.TEXT,
        "options": TranslationOptions(settings=SETTINGS, threads=1, engine="torch"),
        "parts": PartsOptions(chunk_lines=64, together=3.0),
    }
    outputs = [tmp_path / name for name in ("alone", "out")]
    translate_file(model, str(tmp_path / "in"), output=outputs[0], **given | {"parts": PartsOptions(chunk_lines=64)})
    second = cluster.add_node(processors=1)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(translate_file_on_ray, model, str(tmp_path / "in"), outputs[1], workers=2, **given)
        wait_for(lambda: running.done() or len(members(outputs[1])) == 2)
        assert not running.done()
        cluster.lose(second)
        outcome = running.result(timeout=600)
    assert outputs[1].read_bytes() == outputs[0].read_bytes()
    assert outcome.lines == 2000
    wrong = TranslationOptions(settings=("no_such_setting=1",))
    with pytest.raises(ConfigError, match="no_such_setting"):
        translate_file_on_ray(model, str(tmp_path / "in"), tmp_path / "other", options=wrong)


# Ray Data 2.60 warns of settings of its own, and of the way to give the number of retries, which stays until 2.63.
@pytest.mark.filterwarnings("ignore:`(use|ray)_:DeprecationWarning")
@pytest.mark.slow(minutes=1)
def test_a_column_of_a_dataset_is_translated_as_by_one_process(
    large_cluster: LocalCluster, model: Path, tmp_path: Path
) -> None:
    import pyarrow
    import ray.data as ray_data
    from pyarrow import parquet

    texts = [f"zeile {number % 9}" for number in range(60)]
    texts[7] = None
    (tmp_path / "in").mkdir()
    for number in range(3):
        rows = range(20 * number, 20 * number + 20)
        table = pyarrow.table({"id": list(rows), "text": [texts[row] for row in rows]})
        parquet.write_table(table, tmp_path / "in" / f"{number}.parquet")
    dataset = ray_data.read_parquet(str(tmp_path / "in"))
    translate_dataset(dataset, model, column="text", batch_rows=10, part_rows=15).write_parquet(str(tmp_path / "out"))
    files = [parquet.read_table(path).to_pylist() for path in (tmp_path / "out").glob("*.parquet")]
    assert max(map(len, files)) <= 15
    rows = [row for file in files for row in file]
    assert sorted(row["id"] for row in rows) == list(range(60))
    translator = open_translator(model, device="cpu", threads=1)
    expected = {text: translator.translate(text).text for text in set(filter(None, texts))}
    assert [row["translation"] for row in rows] == [expected.get(row["text"]) for row in rows]
    assert {row["translation_error"] for row in rows} == {None}


DRIVER = """
import sys
from pathlib import Path
import ray
from pellucid.jobs.clusters.ray import checkpointed, translate_dataset
address, model, source, output = sys.argv[1:]
ray.init(address=address, log_to_driver=False)
with checkpointed(output + ".checkpoint", id_column="id"):
    rows = ray.data.read_parquet(source)
    translate_dataset(rows, Path(model), column="text", batch_rows=25, part_rows=25).write_parquet(output)
"""


@pytest.mark.slow(minutes=2)
def test_after_a_killed_driver_a_second_one_does_what_is_left(
    large_cluster: LocalCluster, model: Path, tmp_path: Path
) -> None:
    import pyarrow
    from pyarrow import parquet

    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(24):
        ids = list(range(25 * number, 25 * number + 25))
        table = pyarrow.table({"id": ids, "text": [f"zeile {row} " + "und noch eine " * 9 for row in ids]})
        parquet.write_table(table, source / f"{number:02}.parquet")
    command = [sys.executable, "-c", DRIVER, large_cluster.address, *map(str, (model, source, output))]

    def rows() -> dict[Path, list[int]]:
        return {path: parquet.read_table(path)["id"].to_pylist() for path in output.glob("*.parquet")}

    with subprocess.Popen(command) as driver:
        wait_for(lambda: driver.poll() is not None or len(list(output.glob("*.parquet"))) >= 2)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    checkpoint = Path(f"{output}.checkpoint")
    records = [path for path in checkpoint.glob("*.parquet") if not path.name.endswith(".pending.parquet")]
    recorded = [row for path in records for row in parquet.read_table(path)["id"].to_pylist()]
    assert 0 < len(recorded) < 600
    complete = [path for path in output.glob("*.parquet") if path.name.startswith(tuple(one.stem for one in records))]
    before = {path: path.stat().st_mtime_ns for path in complete}
    subprocess.run(command, check=True)
    found = rows()
    assert sorted(row for ids in found.values() for row in ids) == list(range(600)), "each row once"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert sum(len(ids) for path, ids in found.items() if path not in before) == 600 - len(recorded)
    assert not checkpoint.exists()
