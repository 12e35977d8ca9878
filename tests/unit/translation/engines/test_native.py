"""The native engine around its C file: compiling, preparing, refusing, and running under sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import pellucid
from pellucid.bundle import load_bundle
from pellucid.compiled import compiler
from pellucid.compiled.cache import _temporary_folder, private_cache
from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.jobs.models import open_translator
from pellucid.translation.engines.native import library
from pellucid.translation.engines.native.engine import open_native
from pellucid.translation.engines.native.library import SOURCE, load_library
from pellucid.translation.engines.native.preparation import open_prepared
from pellucid.translation.observer import BeamTree

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
FUZZ = Path(__file__).parents[3] / "equivalence" / "native_fuzz.py"
SENTENCES = ["The cat is very tired.", "The animal didn't cross the street because it was too wide.", "", "- ..."]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc checks the C file")


def test_the_translator_gives_the_texts_of_torch() -> None:
    said: list[str] = []
    native = open_translator(MODEL, engine="native", precision="fp32", threads=2, say=said.append)
    expected = open_translator(MODEL, engine="torch").translate(SENTENCES)
    found = native.translate(SENTENCES)
    assert [one.text for one in found] == [one.text for one in expected]
    assert [one.flags for one in found] == [one.flags for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)
    assert said[-1] == "engine: native (fp32), 2 threads, as asked"


def test_what_the_engine_lacks_is_done_by_torch_and_said_once() -> None:
    said: list[str] = []
    native = open_translator(MODEL, engine="native", threads=1, say=said.append)
    assert "rounded to 8 bits" in said.pop()
    said.clear()
    tree = BeamTree()
    for _ in range(2):
        native.translate("The cat is very tired.", observer=tree)
    assert said == ["engine: torch, because native (int8) does not support a record of the search"]
    assert tree.expansions


@pytest.mark.parametrize(
    "settings",
    [
        {"n_best": 5},
        {"sampling": True, "n_best": 4, "temperature": 1.5, "top_k": 20, "top_p": 0.95, "seed": 5},
        {"sampling": True, "target_prefix": "L", "temperature": 2.0},
        {"n_best": 3, "target_prefix": "L"},
        {"target_prefix": "Le chat "},
        {"target_prefix": "L'anim", "beam_size": 1},
        {"target_prefix": "M", "n_best": 4, "no_repeat_ngram_size": 2, "min_length": 6, "banned_tokens": ["."]},
    ],
)
def test_searches_give_the_translations_of_torch(settings: dict[str, object]) -> None:
    said: list[str] = []
    native = open_translator(MODEL, engine="native", precision="fp32", threads=2, say=said.append)
    expected = open_translator(MODEL, engine="torch").translate(SENTENCES, **settings)
    found = native.translate(SENTENCES, **settings)
    for ours, theirs in zip(found, expected, strict=True):
        assert [one.ids for one in ours.alternatives] == [one.ids for one in theirs.alternatives]
        scores = [one.score for one in theirs.alternatives]
        assert [one.score for one in ours.alternatives] == pytest.approx(scores, abs=1e-4)
        assert (ours.text, ours.flags) == (theirs.text, theirs.flags)
    assert said[-1] == "engine: native (fp32), 2 threads, as asked", "torch was asked"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "fast"}, "--engine 'fast' is unknown; use auto, torch, native"),
        ({"engine": "native", "precision": "int4"}, "--precision 'int4' is unknown; use auto, int8, bf16, fp32"),
        ({"engine": "native", "device": "cuda"}, "device = 'cuda' is not the processor"),
        ({"engine": "torch", "precision": "int8"}, "--precision int8 is not for --engine torch"),
        ({"precision": "int8", "device": "cuda"}, "--precision int8 is for the processor"),
        ({"precision": "int8", "engine": "device", "device": "cpu"}, "--precision int8 is for the processor"),
        ({"engine": "torch", "precision": "bf16"}, "--precision bf16 is not for --engine torch"),
        ({"engine": "native", "precision": "bf16"}, "--precision bf16 is for --engine device, and for auto on a GPU"),
        ({"precision": "bf16", "device": "cpu"}, "--precision bf16 is for --engine device, and for auto on a GPU"),
    ],
)
def test_wrong_choices_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_translator(MODEL, **settings)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_damaged_weights_are_refused(number: float) -> None:
    bundle = load_bundle(MODEL)
    model = bundle.model
    with torch.no_grad():
        model.source_embedding.weight[-1, 3] = number
    with pytest.raises(EngineUnavailableError, match=r"source_embedding\.weight holds numbers that are not finite"):
        open_native(lambda: model, config=bundle.description.model, weights_sha256="0" * 64, is_int8=True, threads=1)


def test_without_a_compiler_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(EngineUnavailableError, match="no C compiler"):
        load_library()


def test_a_source_that_does_not_compile_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "engine.c"
    wrong.write_text("int engine_columns(void) { return nothing; }\n")
    monkeypatch.setattr(library, "SOURCE", wrong)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EngineUnavailableError, match=r"cannot compile the native engine.*nothing"):
        load_library()
    assert not list((tmp_path / "cache").glob("*engine-*.so"))


def test_a_cache_that_others_may_write_to_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("PELLUCID_CACHE", str(shared))
    said: list[str] = []
    _temporary_folder.cache_clear()
    assert private_cache(said.append) == private_cache(said.append) != shared
    assert len(said) == 1
    assert f"other users may write to the cache folder {shared}" in said[0]
    shared.chmod(0o700)
    assert private_cache(said.append) == shared
    assert len(said) == 1


@pytest.mark.parametrize("damage", [lambda code: code[:40_000], lambda code: b"", lambda code: bytes(len(code))])
def test_a_damaged_compiled_engine_is_compiled_again(
    damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiled = load_library().path
    checksum = compiled.with_suffix(".sha256")

    def compile_again(
        _: Path, source: Path, path: Path, *, what: str
    ) -> None:  # what the compiler would write, without its seconds
        for whole in (compiled, checksum):
            shutil.copy(whole, path.parent)

    monkeypatch.setattr(compiler, "_compile", compile_again)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    shutil.copy(checksum, tmp_path)
    (tmp_path / compiled.name).write_bytes(damage(compiled.read_bytes()))
    said: list[str] = []
    assert load_library(said.append).columns == load_library().columns
    assert len(said) == 1
    assert "again, since the one in the cache is damaged" in said[0]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "longer"])
def test_a_damaged_prepared_model_is_made_again(damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled = load_library().path
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    for one in (compiled, compiled.with_suffix(".sha256")):
        shutil.copy(one, tmp_path)
    expected = open_translator(MODEL, engine="native").translate(SENTENCES[0]).text
    (path,) = tmp_path.glob("prepared-*")
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"flip": flipped, "cut": content[:-1], "empty": b"", "longer": content + b"x"}[damage])
    columns = load_library().columns
    assert open_prepared(path, columns=columns, is_int8=True) is None
    assert open_translator(MODEL, engine="native").translate(SENTENCES[0]).text == expected
    assert path.read_bytes() == content


@needs_gcc
def test_the_c_file_compiles_without_warnings(tmp_path: Path) -> None:
    for options in ([], ["-march=native"], ["-mavx2", "-mfma"] if os.uname().machine == "x86_64" else []):
        command = ["gcc", "-std=gnu11", "-O1", *options, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(tmp_path / "engine.so"), str(SOURCE), "-lm"], check=True, timeout=600)


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("options", [[], ["-mavx2", "-mfma"]], ids=["portable", "avx2"])
def test_other_instructions_find_the_same(options: list[str], tmp_path: Path) -> None:
    """The code for other processors, on this one: random requests pass their own checks."""
    if options and os.uname().machine != "x86_64":
        pytest.skip("these instructions are x86's")
    path = tmp_path / "engine.so"
    command = [
        "gcc",
        "-std=gnu11",
        "-O2",
        "-fno-math-errno",
        *options,
        "-shared",
        "-fPIC",
        "-o",
        str(path),
        str(SOURCE),
    ]
    subprocess.run([*command, "-lm"], check=True, timeout=600)
    assert fuzzed(path, requests=12, folder=tmp_path) > 0


@pytest.mark.slow(minutes=1)
@needs_gcc
def test_random_requests_under_sanitizers(tmp_path: Path) -> None:
    path = tmp_path / "engine.so"
    command = ["gcc", "-std=gnu11", "-O1", "-g", "-march=native", "-fno-math-errno", "-shared", "-fPIC"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([*command, *checks, "-o", str(path), str(SOURCE), "-lm"], check=True, timeout=600)
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    # What Python itself never frees is no fault of ours.
    environment = {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
    assert fuzzed(path, requests=120, folder=tmp_path, **environment) > 0


def fuzzed(path: Path, *, requests: int, folder: Path, **environment: str) -> int:
    command = [sys.executable, str(FUZZ), str(path), str(requests), "1", str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)
