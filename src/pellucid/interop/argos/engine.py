"""Run an Argos package as Argos Translate 1.11 does, without installing it: unpack, split, cut, translate, join.

The steps are those of ``apply_packaged_translation``: split with the package's own splitter, cut with SentencePiece,
call ``translate_batch`` with Argos's arguments, join and decode all sentences of a line at once, turn underscores and
word boundaries into spaces, and remove one leading space. Read ``formats.py`` next.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import sentencepiece
import torch

from pellucid.bundle import Bundle
from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.errors import BundleError, ConversionError, are, counted
from pellucid.interop.argos.package import METADATA, MODEL, SEGMENTER, SPLITTERS
from pellucid.interop.argos.splitter import sentences_of
from pellucid.interop.ctranslate2.config import ctranslate2_library
from pellucid.interop.ctranslate2.engine import CTranslate2Model
from pellucid.interop.ctranslate2.file import read_ctranslate2_file
from pellucid.interop.ctranslate2.pairs import ctranslate2_pairs
from pellucid.interop.ctranslate2.rounding import rounded
from pellucid.interop.packages import refuse_without
from pellucid.interop.untrusted.files import read_bytes, read_segmenter, read_table
from pellucid.interop.untrusted.zip_files import unpack
from pellucid.interop.verification.comparison import ComparedModel, Pair, PellucidModel
from pellucid.interop.verification.samples import make_samples
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints
from pellucid.untrusted import plain_file

__all__ = ["ArgosPackage", "argos_pairs"]

_BEAM_SIZE: Final = 4
_LENGTH_PENALTY: Final = 0.2
_BATCH_TOKENS: Final = 32
_LONGEST: Final = 256
_TRIED: Final = 8
_LONGEST_TRIED: Final = 24
_TEXTS_PER_TIE: Final = 4
"""Allow one differing text in four: two hypotheses may differ in the last bits only, and beams end by other rules."""
_MOST_SPLITTER_BYTES: Final = 256 << 20
_NEEDED: Final = ("from_code", "from_name", "to_code", "to_name", "package_version", "argos_version")


class ArgosPackage:
    """A package, unpacked for as long as this object lives.

    Raises:
        BundleError: the archive cannot be unpacked, or a part is missing or damaged.
        ConfigError: a library is not installed.
        ConversionError: the splitter or the model cannot be opened.
    """

    def __init__(self, path: Path, *, compute_type: str = "float32") -> None:
        refuse_without("onnx", "onnxruntime", extra="argos")
        scratch = Path(tempfile.mkdtemp(prefix="pellucid-"))
        self._removal = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        self.root = _unpacked(path, scratch / "package")
        metadata = read_table(self.root / METADATA)
        if missing := [name for name in _NEEDED if not isinstance(metadata.get(name), str)]:
            raise BundleError(f"{path}: {METADATA} does not give {', '.join(missing)}")
        if metadata.get("type", "translate") != "translate":
            raise BundleError(f"{path}: is a package of type {metadata['type']!r}; only 'translate' is supported")
        splitters = sorted((self.root / SPLITTERS).glob("*.onnx"))
        if len(splitters) != 1:
            raise BundleError(
                f"{path}: holds {len(splitters)} sentence splitters in {SPLITTERS}/, and one is needed: without it "
                "Argos fetches one from the network"
            )
        sound = read_segmenter(self.root / SEGMENTER).model
        self._segmenter = sentencepiece.SentencePieceProcessor(model_proto=sound)
        onnxruntime: Any = importlib.import_module("onnxruntime")
        try:
            self._splitter = onnxruntime.InferenceSession(read_bytes(splitters[0], most=_MOST_SPLITTER_BYTES))
            self._translator = ctranslate2_library().Translator(
                str(self.root / MODEL), compute_type=compute_type, intra_threads=torch.get_num_threads()
            )
        except Exception as error:  # of any kind: it is other projects' code
            raise ConversionError(f"{path}: Argos cannot open it: {error}") from error

    def translate(self, text: str, *, longest: int = _LONGEST) -> str:
        """Translate a text of one line; Argos allows 256 pieces a sentence."""
        pieces = [self._segmenter.encode(sentence, out_type=str) for sentence in sentences_of(self._splitter, text)]
        found = self._translator.translate_batch(
            pieces,
            replace_unknowns=True,
            max_batch_size=_BATCH_TOKENS,
            batch_type="tokens",
            beam_size=_BEAM_SIZE,
            length_penalty=_LENGTH_PENALTY,
            max_decoding_length=longest,
        )
        return self.joined([piece for result in found for piece in result.hypotheses[0]])

    def joined(self, pieces: Sequence[str]) -> str:
        """Join the pieces of all sentences as Argos does."""
        text = str(self._segmenter.decode_pieces(list(pieces)))
        return text.replace("\u2581", " ").replace("_", " ").removeprefix(" ")

    def sentences(self, text: str) -> list[str]:
        """Split a text of one line."""
        return sentences_of(self._splitter, text)


def argos_pairs(bundle: Bundle, path: Path) -> Sequence[Pair]:
    """Run a package as Argos would, and return the comparisons of the model in it.

    Raises:
        BundleError: see ``ArgosPackage``.
        ConversionError: Argos's steps give other translations than the model.
    """
    package = ArgosPackage(path)
    summary = _run(bundle, package)
    segmenter = package.root / SEGMENTER

    def named(make: Callable[[], ComparedModel], *, kept: ArgosPackage) -> ComparedModel:
        # ``kept`` holds the unpacked package for as long as its engine may be built.
        engine = cast(CTranslate2Model, make())
        engine.name = f"{engine.name} ({summary})"
        return engine

    pairs = ctranslate2_pairs(bundle, package.root / MODEL, segmenters=(segmenter, segmenter))
    return [Pair(pair.ours, partial(named, pair.theirs, kept=package), pair.bounds) for pair in pairs]


def _run(bundle: Bundle, package: ArgosPackage) -> str:
    """Translate texts as Argos does and with the model; return the share of equal ones.

    Raises:
        ConversionError: too many differ.
    """
    tokenizer = bundle.tokenizer
    quantization = read_ctranslate2_file(package.root / MODEL / "model.bin").quantization
    engine = PellucidModel(rounded(bundle.model, quantization), tokenizer)
    samples = make_samples(tokenizer, max_positions=bundle.description.model.max_positions, seed=11)
    # Two texts in one, since Argos joins the sentences of a line.
    texts = [f"{first.text}. {second.text}" for first, second in zip(samples[::2], samples[1::2], strict=False)]
    wanted = [_as_the_model_says(engine, package, text) for text in texts[:_TRIED]]
    found = [package.translate(text, longest=_LONGEST_TRIED) for text in texts[:_TRIED]]
    comparable = [(own, other) for own, other in zip(wanted, found, strict=True) if own is not None]
    same = sum(own == other for own, other in comparable)
    summary = f"run as Argos runs it: {same} of {counted(len(comparable), 'text')} {are(len(comparable))} equal"
    if same < len(comparable) - len(comparable) // _TEXTS_PER_TIE:
        own, other = next(pair for pair in comparable if pair[0] != pair[1])
        raise ConversionError(f"{summary}; for example {own[:80]!r} by the model and {other[:80]!r} by the package")
    return summary


def _as_the_model_says(engine: PellucidModel, package: ArgosPackage, text: str) -> str | None:
    """Translate with our own search and Argos's settings; None if a special piece occurs, which Argos rewrites."""
    config = TranslationConfig(
        beam_size=_BEAM_SIZE,
        length_penalty=LengthPenalty.AVERAGE,
        alpha=_LENGTH_PENALTY,
        max_length_factor=1e-6,
        max_length_constant=_LONGEST_TRIED,
    )
    sources = engine.encode(package.sentences(text))
    found = beam_search(engine.stepper(), sources, config=config, constraints=Constraints(eos_id=engine.eos_id))
    ids = [i for row in found for i in row[0].ids if i != engine.eos_id]
    pieces = [engine.target_pieces[i] for i in ids]
    specials = engine.tokenizer.specials
    return None if {specials.unk, specials.pad, specials.bos} & set(ids) else package.joined(pieces)


def _unpacked(path: Path, folder: Path) -> Path:
    """Unpack a package; return its one folder.

    Raises:
        BundleError: it cannot be unpacked, or does not consist of one folder with ``metadata.json`` in it.
    """
    names = unpack(path, folder)
    roots = {name.split("/")[0] for name in names if "/" in name}
    if len(roots) != 1 or any("/" not in name for name in names):
        raise BundleError(f"{path}: must consist of one folder with all files in it, where Argos looks for them")
    root = folder / roots.pop()
    for name in (METADATA, SEGMENTER):
        plain_file(root / name)
    return root
