"""A package for Argos Translate: complete without a network, the same bytes each time, run as Argos runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models import save_model
from tests.unit.interop.ctranslate2.test_ctranslate2 import change_words, our_model
from tests.unit.interop.kit import learned_tokenizer, sentences

from pellucid.bundle import load_bundle
from pellucid.errors import BundleError, ConversionError, IncompatibleModelError
from pellucid.interop.argos import engine as argos_engine
from pellucid.interop.argos import package as argos_package
from pellucid.interop.argos.engine import ArgosPackage
from pellucid.interop.argos.languages import LANGUAGE_NAMES
from pellucid.interop.argos.splitter import sentences_of, splitter
from pellucid.interop.untrusted.zip_files import pack
from pellucid.jobs.exchange import export_model
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

pytest.importorskip("ctranslate2", reason="the extra argos is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra argos is not installed")

ROOT = "translate-de_en-1_0"


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    kinds: dict[str, dict[str, object]] = {"joint": {}, "separate": {"joint": False}, "lowercase": {"lowercase": True}}
    return {name: learned_tokenizer(**settings) for name, settings in kinds.items()}


@pytest.fixture(scope="module")
def model(tokenizers: dict[str, Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return our_model(tmp_path_factory.mktemp("argos") / "ours", tokenizers["joint"])


@pytest.fixture(scope="module")
def package(model: Path) -> Path:
    path = model.parent / "de_en.argosmodel"
    export_model(model, path, format="argos", threads=1)
    return path


def test_everything_is_in_one_folder(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        metadata = json.loads(archive.read(f"{ROOT}/metadata.json"))
        words = json.loads(archive.read(f"{ROOT}/model/config.json"))
    assert {name.split("/")[0] for name in names} == {ROOT}
    inside = {name.removeprefix(f"{ROOT}/") for name in names}
    assert inside == {
        "README.md",
        "metadata.json",
        "minisbd/de.onnx",
        "model/config.json",
        "model/model.bin",
        "model/shared_vocabulary.json",
        "sentencepiece.model",
    }
    assert (metadata["from_code"], metadata["from_name"]) == ("de", "German")
    assert (metadata["to_code"], metadata["to_name"], metadata["type"]) == ("en", "English", "translate")
    assert words["add_source_eos"] is True  # Argos gives pieces without an end


def test_the_same_model_makes_the_same_bytes(model: Path, package: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "again.argosmodel", format="argos", threads=1)
    assert (tmp_path / "again.argosmodel").read_bytes() == package.read_bytes()
    outcome = export_model(model, package, format="argos", verify_only=True, threads=1)
    assert all(comparison.is_equal for comparison in outcome.verdicts)
    assert "texts are equal" in outcome.verdicts[0].theirs


def test_every_reason_is_told_at_once(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    folder = our_model(tmp_path / "ours", tokenizers["separate"], share_embeddings=False)
    bundle = load_bundle(folder)
    languages = {"source_language": "src", "target_language": "en_US"}
    save_model(tmp_path / "nameless", bundle.model, bundle.tokenizer, **languages)
    with pytest.raises(IncompatibleModelError) as told:
        export_model(tmp_path / "nameless", tmp_path / "x.argosmodel", format="argos", threads=1)
    for words in ("'src'", "'en_US'", "--src-lang", "a segmenter each", "--set tokenizer.joint=true"):
        assert words in str(told.value)
    lowercase = our_model(tmp_path / "lower", tokenizers["lowercase"])
    with pytest.raises(IncompatibleModelError, match=r"tokenizer\.lowercase=false"):
        export_model(lowercase, tmp_path / "x.argosmodel", format="argos", threads=1)
    spelt = our_model(tmp_path / "bytes", BytesTokenizer(tags=(">>en<<",)))
    with pytest.raises(IncompatibleModelError, match=r"(?s)spells bytes.*>>en<<"):
        export_model(spelt, tmp_path / "x.argosmodel", format="argos", threads=1)
    assert not (tmp_path / "x.argosmodel").exists()


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "end of sentence": lambda patch: change_words(patch, add_source_eos=False),
    "start": lambda patch: change_words(patch, decoder_start_token="</s>"),
    "no splitter": lambda patch: patch.setattr(argos_package, "SPLITTERS", "elsewhere"),
    "no folder": lambda patch: patch.setattr(
        argos_package, "pack", lambda path, contents: pack(path, {n.split("/", 1)[1]: c for n, c in contents.items()})
    ),
    "no segmenter": lambda patch: patch.setattr(argos_package, "SEGMENTER", "bpe.model"),
    "other words": lambda patch: patch.setattr(
        argos_engine, "_as_the_model_says", lambda engine, package, text: "something else"
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_leaves_nothing(
    mistake: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PLANTED[mistake](monkeypatch)
    with pytest.raises((ConversionError, BundleError)):
        export_model(model, tmp_path / "x.argosmodel", format="argos", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_package_does_not_pass(model: Path, package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        contents: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    changes: dict[str, tuple[str, bytes | None]] = {
        "README": ("../README.md", b"out of the folder"),
        "root": ("another/metadata.json", b"{}"),
        "splitter": (f"{ROOT}/minisbd/en.onnx", b"two"),
        "from_code": (f"{ROOT}/metadata.json", b"{}"),
    }
    for name, (member, content) in changes.items():
        path = tmp_path / f"{name}.argosmodel"
        pack(path, contents | {member: content})
        with pytest.raises(BundleError, match=r"argosmodel"):
            export_model(model, path, format="argos", verify_only=True, threads=1)
    other = bytearray(contents[f"{ROOT}/model/model.bin"])
    other[-900:-700] = bytes(200)
    pack(tmp_path / "weights.argosmodel", contents | {f"{ROOT}/model/model.bin": bytes(other)})
    with pytest.raises((ConversionError, BundleError)):
        export_model(model, tmp_path / "weights.argosmodel", format="argos", verify_only=True, threads=1)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Ja. Nein! Doch?", ["Ja.", "Nein!", "Doch?"]),
        ('(Ja.) "Gut." Er ging.', ["(Ja.)", '"Gut."', "Er ging."]),
        ("J. Smith kam am 3. Mai. Er ging z.B. heim.", ["J. Smith kam am 3. Mai.", "Er ging z.B. heim."]),
        ("はい。「いいえ。」はい。", ["はい。", "「いいえ。」", "はい。"]),
        ("Wie bitte... und dann?! So", ["Wie bitte... und dann?!", "So"]),
        ("अच्छा। ठीक है।", ["अच्छा।", "ठीक है।"]),
        ("نعم؟ لا.", ["نعم؟", "لا."]),
        ("ohne Ende", ["ohne Ende"]),
        ("  Ja.   Nein.  ", ["Ja.", "Nein."]),
        ("", []),
    ],
)
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    session = onnxruntime.InferenceSession(splitter("de"))
    assert sentences_of(session, text) == sentences


@pytest.mark.skipif(importlib.util.find_spec("minisbd") is None, reason="minisbd is not installed")
def test_minisbd_itself_splits_the_same(tmp_path: Path) -> None:
    import minisbd

    (tmp_path / "de.onnx").write_bytes(splitter("de"))
    session = onnxruntime.InferenceSession(str(tmp_path / "de.onnx"))
    theirs = minisbd.SBDetect(str(tmp_path / "de.onnx"), use_gpu=False)
    for text in (*sentences(7, 23), " ".join(sentences(8, 41)), "Siehe https://x.example/a. Gut."):
        assert theirs.sentences(text) == sentences_of(session, text)


def test_names_of_languages() -> None:
    assert LANGUAGE_NAMES["de"] == "German"
    assert all(len(code) in (2, 3) and name[0].isupper() for code, name in LANGUAGE_NAMES.items())


@pytest.mark.skipif(
    importlib.util.find_spec("argostranslate") is None,
    reason="argostranslate is not installed: with all it asks for it weighs gigabytes (pip install --no-deps does)",
)
def test_the_real_argos_says_the_same_without_a_network(package: Path, tmp_path: Path) -> None:
    lines = [f"{first} {second}" for first, second in zip(sentences(7, 5), sentences(8, 5), strict=True)]
    ours = ArgosPackage(package)
    folders = {f"XDG_{name}_HOME": str(tmp_path) for name in ("DATA", "CONFIG", "CACHE")}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("argos_oracle.py"), package, "de", "en"],
        input="".join(f"{line}\n" for line in lines),
        env={**os.environ, **folders, "ARGOS_COMPUTE_TYPE": "float32"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [ours.translate(line) for line in lines]
