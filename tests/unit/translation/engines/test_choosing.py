"""Which engine translates, what is said of it, and what is read for it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models import random_model, save_model

import pellucid
from pellucid.bundle import Bundle, ModelFolder, load_bundle, read_model
from pellucid.compiled.compiler import c_compiler
from pellucid.errors import BundleError, EngineUnavailableError
from pellucid.interop import packages
from pellucid.jobs import models
from pellucid.jobs.models import open_translator
from pellucid.translation.engines.ctranslate2 import trial
from pellucid.translation.hypothesis import ScoredPair

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
SENTENCE = "The animal didn't cross the street because it was too wide."


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "is_installed", lambda package: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


def test_auto_is_native_in_int8_on_a_processor_and_says_so_once() -> None:
    said: list[str] = []
    translator = open_translator(MODEL, device="cpu", threads=1, say=said.append)
    translator.translate([SENTENCE, SENTENCE])
    translator.translate(SENTENCE, beam_size=2)
    assert said[-1] == (
        "engine: native (int8), 1 thread, the fastest on a processor; weights are rounded to 8 bits, and "
        "--precision fp32 keeps them exact"
    )
    assert sum(text.startswith("engine: ") for text in said) == 1
    assert translator.engines_used == ("native (int8)",)


def test_the_library_logs_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="pellucid"):
        pellucid.load(MODEL, device="cpu", threads=1)
    assert "engine: native (int8)" in caplog.messages[-1]
    assert caplog.records[-1].name == "pellucid"


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_auto_is_torch_with_one_line() -> None:
    said: list[str] = []
    translator = open_translator(MODEL, device="cpu", say=said.append)
    expected = open_translator(MODEL, engine="torch").translate(SENTENCE)
    assert translator.translate(SENTENCE) == expected
    (line,) = said
    assert line.startswith("engine: torch (fp32), because the native engine is not available: there is no C compiler")


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize("wanted", [{"engine": "native"}, {"precision": "int8"}])
def test_what_is_asked_for_by_name_is_not_replaced(wanted: dict[str, str]) -> None:
    with pytest.raises(EngineUnavailableError, match="no C compiler"):
        open_translator(MODEL, device="cpu", **wanted)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_text_that_no_setting_fits_fails_alone(engine: str) -> None:
    settings = {"min_length": 6, "max_length_constant": 1, "max_length_factor": 1.0}
    short, long = open_translator(MODEL, device="cpu", engine=engine).translate(["cat", SENTENCE], **settings)
    assert "min_length = 6, but a translation of this text has at most" in (short.error or "")
    assert not short.text
    assert long.error is None
    assert long.text


def test_on_torch_is_the_exact_model() -> None:
    translator = open_translator(MODEL, device="cpu")
    expected = open_translator(MODEL, engine="torch").translate(SENTENCE)
    assert translator.on_torch().translate(SENTENCE) == expected
    assert translator.translate(SENTENCE).score != expected.score  # int8 rounds


def test_a_trace_is_of_the_exact_model_whichever_engine_translates() -> None:
    traces = [pellucid.trace(pellucid.load(MODEL, engine=engine), SENTENCE) for engine in ("auto", "torch")]
    ours, exact = (trace["log_probabilities"] for trace in traces)
    assert (ours == exact).all()
    assert traces[0].text == traces[1].text


def test_the_engine_that_translates_scores_given_translations() -> None:
    def score(**options: str) -> ScoredPair:
        return pellucid.load(MODEL, device="cpu", **options).score([SENTENCE], ["Le chat."])[0]

    exact, rounded, torch = score(precision="fp32"), score(), score(engine="torch")
    assert exact.token_log_probabilities == pytest.approx(torch.token_log_probabilities, abs=1e-4)
    assert rounded.token_log_probabilities == pytest.approx(torch.token_log_probabilities, abs=1)
    assert rounded.log_probability != pytest.approx(torch.log_probability, abs=1e-4)  # int8 rounds
    assert exact.pieces == rounded.pieces == torch.pieces


def test_the_engine_that_translates_aligns() -> None:
    said: list[str] = []
    ours = open_translator(MODEL, device="cpu", precision="fp32", say=said.append)
    found = ours.translate(SENTENCE, alignment=True)
    assert found.alignment == open_translator(MODEL, engine="torch").translate(SENTENCE, alignment=True).alignment
    assert said[-1].startswith("alignments: native (fp32) computes them")


def test_the_model_is_read_once_by_whatever_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.jobs import models

    reads = []
    read_model = models.read_model
    open_translator(MODEL, device="cpu")  # prepares it
    monkeypatch.setattr(models, "read_model", lambda opened, **more: reads.append(opened) or read_model(opened, **more))
    translator = open_translator(MODEL, device="cpu")
    translator.translate(SENTENCE)
    assert not reads
    other = translator.with_settings(beam_size=2)
    other.translate(SENTENCE, sampling=True)
    assert translator.model is other.model
    assert translator.on_torch().translate(SENTENCE).text
    assert len(reads) == 1


def test_a_model_that_was_replaced_meanwhile_is_not_mixed_with_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    translator = open_translator(folder, device="cpu")
    text = translator.translate(SENTENCE).text
    weights = load_bundle(folder).description.weights
    other = "weights-00000000.safetensors"
    (folder / weights).rename(folder / other)
    description = folder / "model.toml"
    description.write_text(description.read_text("utf-8").replace(weights, other), "utf-8")
    assert translator.translate(SENTENCE).text == text
    with pytest.raises(BundleError, match=f"was replaced by {other} since its folder was opened"):
        _ = translator.model


def test_a_model_that_is_replaced_while_it_is_prepared_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a training run that has found a better one; the configuration is one that nothing was prepared for."""
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    description = folder / "model.toml"
    text = description.read_text("utf-8").replace("layer_norm_epsilon = 1e-05", "layer_norm_epsilon = 0.25")
    description.write_text(text, "utf-8")
    weights, other = load_bundle(folder).description.weights, "weights-00000000.safetensors"
    reads: list[Path] = []

    def replacing(opened: ModelFolder) -> Bundle:
        reads.append(opened.folder)
        if len(reads) == 1:
            (folder / weights).rename(folder / other)
            description.write_text(text.replace(weights, other), "utf-8")
        return read_model(opened)

    monkeypatch.setattr(models, "read_model", replacing)
    assert open_translator(folder, device="cpu", engine="native").translate(SENTENCE).text
    assert len(reads) == 2


def test_another_configuration_with_the_same_weights_is_prepared_anew(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    description = folder / "model.toml"
    changed = description.read_text("utf-8").replace("layer_norm_epsilon = 1e-05", "layer_norm_epsilon = 0.5")
    assert changed != description.read_text("utf-8")
    description.write_text(changed, "utf-8")
    found, exact = (
        open_translator(folder, device="cpu", engine=engine, precision="fp32").translate(SENTENCE)
        for engine in ("native", "torch")
    )
    usual = open_translator(MODEL, device="cpu", engine="native", precision="fp32").translate(SENTENCE)
    assert found.score == pytest.approx(exact.score, abs=1e-4)
    assert abs(found.score - usual.score) > 1e-3


def test_a_damaged_tokenizer_is_refused_before_anything_is_translated(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    vocabulary = folder / "tokenizer" / "vocabulary.json"
    vocabulary.write_bytes(vocabulary.read_bytes() + b" ")
    with pytest.raises(BundleError, match=r"vocabulary\.json: does not have the SHA-256"):
        open_translator(folder, device="cpu")


_COUNTING_COMPILER = """\
#!/bin/sh
echo compiled >> {log}
sleep 1
exec {compiler} "$@"
"""


@pytest.mark.slow
def test_several_processes_compile_and_prepare_once(tmp_path: Path) -> None:
    log, cache = tmp_path / "log", tmp_path / "cache"
    compiler = tmp_path / "cc"
    compiler.write_text(_COUNTING_COMPILER.format(log=log, compiler=c_compiler(what="this test")))
    compiler.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from pellucid.jobs.models import open_translator\n"
        "say = lambda text: print(text, file=sys.stderr)\n"
        "print(open_translator(Path(sys.argv[1]), engine='native', threads=1, say=say).translate(sys.argv[2]).text)"
    )
    environment = {**os.environ, "PELLUCID_CACHE": str(cache), "CC": str(compiler)}
    command = [sys.executable, "-c", code, str(MODEL), SENTENCE]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=600) for process in running]
    assert len({out for out, _ in answers}) == 1
    assert answers[0][0].strip()
    assert log.read_text().splitlines() == ["compiled"]
    assert sum("compiling the native engine" in err for _, err in answers) == 1
    assert sum("preparing the model" in err for _, err in answers) == 1


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small model with the tokenizer of the walkthrough: exporting it takes a moment."""
    tokenizer = load_bundle(MODEL).tokenizer
    return save_model(tmp_path_factory.mktemp("small"), random_model(tokenizer, noise=0.3), tokenizer)


def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_ISAS", ("",))
    monkeypatch.setattr(trial, "_BATCHES", (512,))


def test_ctranslate2_translates_like_torch_and_is_exported_once(
    small_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="the extra ctranslate2 is not installed")
    few_settings(monkeypatch)
    said: list[str] = []
    options = {"engine": "ctranslate2", "precision": "fp32", "device": "cpu", "threads": 1}
    found = open_translator(small_folder, **options, say=said.append).translate(SENTENCE)
    expected = open_translator(small_folder, engine="torch").translate(SENTENCE)
    assert found.text == expected.text
    assert found.score == pytest.approx(expected.score, abs=1e-4)
    assert "exporting the model for CTranslate2 and comparing the export with it, once" in said
    assert said[-1].startswith("engine: ctranslate2 ")
    again: list[str] = []
    open_translator(small_folder, **options, say=again.append)
    assert again == said[-1:]
    # A damaged export is written again.
    (weights,) = own_cache.glob("ctranslate2-*/model.bin")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    open_translator(small_folder, **options)
    assert weights.read_bytes() == content


@pytest.mark.usefixtures("without_compiler", "own_cache")
def test_without_a_compiler_auto_is_ctranslate2_where_it_is_installed(
    small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="the extra ctranslate2 is not installed")
    monkeypatch.setattr(models, "is_installed", lambda package: True)
    few_settings(monkeypatch)
    said: list[str] = []
    open_translator(small_folder, device="cpu", threads=1, say=said.append)
    assert said[-1].startswith("engine: ctranslate2 ")
    assert "because the native engine is not available: there is no C compiler" in said[-1]
    assert said[-1].endswith("--precision fp32 keeps them exact")


def test_ctranslate2_that_is_not_installed_is_refused_with_the_remedy(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "is_installed", lambda package: False)
    with pytest.raises(EngineUnavailableError, match=r"pip install 'pellucid\[ctranslate2\]'"):
        open_translator(MODEL, device="cpu", engine="ctranslate2")
    assert not list(own_cache.glob("ctranslate2-*/*"))
