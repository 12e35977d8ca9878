"""An Argos package (``.argosmodel``): one zip with everything that Argos Translate needs offline.

    translate-de_en-1_0/metadata.json          languages, versions
                        model/                 the model as CTranslate2 has it
                        sentencepiece.model    one segmenter for both languages
                        minisbd/de.onnx        the sentence splitter; without it Argos fetches one from the network
                        README.md

The same model gives the same bytes. Read ``engine.py`` next.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Final

from pellucid.bundle import Bundle
from pellucid.interop.argos.languages import LANGUAGE_NAMES
from pellucid.interop.argos.splitter import splitter
from pellucid.interop.ctranslate2.config import SOURCE_SEGMENTER, TARGET_SEGMENTER, Quantization, ctranslate2_refusals
from pellucid.interop.ctranslate2.writing import write_ctranslate2
from pellucid.interop.foreign_model import Refusal, tokenizer_refusals
from pellucid.interop.untrusted.zip_files import pack
from pellucid.text.subword import Tokenizer

__all__ = ["ARGOS_VERSION", "METADATA", "MODEL", "SEGMENTER", "SPLITTERS", "argos_refusals", "write_argos"]

METADATA: Final = "metadata.json"
MODEL: Final = "model"
SEGMENTER: Final = "sentencepiece.model"
SPLITTERS: Final = "minisbd"
ARGOS_VERSION: Final = "1.11"
"""The version of Argos Translate whose way of running a package this follows; the first with MiniSBD is 1.10."""

_PACKAGE_VERSION: Final = "1.0"
_CODE: Final = re.compile(r"[a-z]{2,3}")


def argos_refusals(bundle: Bundle) -> list[Refusal]:
    """Return every reason why a model does not fit; an empty list if it does."""
    tokenizer, description = bundle.tokenizer, bundle.description
    found = list(dict.fromkeys([*ctranslate2_refusals(bundle), *tokenizer_refusals(tokenizer, lowercases=False)]))
    for side, option in (("source", "--src-lang"), ("target", "--tgt-lang")):
        code = getattr(description, f"{side}_language")
        if not _CODE.fullmatch(code) or code in ("src", "tgt"):
            found.append(
                Refusal(
                    f"its {side} language is called {code!r}, and Argos requires a code of ISO 639 such as 'de': "
                    f"write it to {bundle.folder / 'model.toml'} as {side}_language, or train with {option}"
                )
            )
    source, target = tokenizer.source, tokenizer.target
    if source.segmenter and target.segmenter and source.segmenter.model != target.segmenter.model:
        found.append(
            Refusal("its languages have a segmenter each, and Argos supports one for both", "tokenizer.joint=true")
        )
    if source.vocabulary.tags:
        found.append(
            Refusal(f"its source begins with a language tag ({source.vocabulary.tags[0]}), and Argos does not send one")
        )
    return found


def write_argos(bundle: Bundle, path: Path, *, quantization: str = Quantization.FLOAT32.value) -> tuple[str, ...]:
    """Write the package; return notes for the user. The model must have passed ``argos_refusals``.

    Raises:
        ConfigError: ctranslate2 or onnx is not installed, or the quantisation is unknown.
    """
    tokenizer, description = bundle.tokenizer, bundle.description
    source, target = description.source_language, description.target_language
    contents: dict[str, Path | bytes] = {SPLITTERS + f"/{source}.onnx": splitter(source)}
    with tempfile.TemporaryDirectory(prefix="pellucid-") as scratch:
        notes = write_ctranslate2(bundle, Path(scratch), quantization=quantization)
        for file in sorted(Path(scratch).iterdir()):
            contents[f"{MODEL}/{file.name}"] = file
        contents[SEGMENTER] = contents.pop(f"{MODEL}/{SOURCE_SEGMENTER}")
        del contents[f"{MODEL}/{TARGET_SEGMENTER}"]
        metadata = {
            "package_version": _PACKAGE_VERSION,
            "argos_version": ARGOS_VERSION,
            "type": "translate",
            "from_code": source,
            "from_name": LANGUAGE_NAMES.get(source, source),
            "to_code": target,
            "to_name": LANGUAGE_NAMES.get(target, target),
        }
        contents[METADATA] = (json.dumps(metadata, ensure_ascii=False, indent=4) + "\n").encode()
        notes = (*notes, *_notes(tokenizer))
        contents["README.md"] = _readme(metadata, notes).encode()
        root = f"translate-{source}_{target}-{_PACKAGE_VERSION.replace('.', '_')}"
        pack(path, {f"{root}/{name}": content for name, content in contents.items()})
    return notes


def _notes(tokenizer: Tokenizer) -> tuple[str, ...]:
    notes = []
    if any("_" in piece for piece in tokenizer.target.vocabulary.pieces):
        notes.append("Argos writes a space for every underscore of a translation")
    notes.append(
        "Argos searches with settings of its own (beam of 4, length penalty 0.2) and rounds weights to int8 while it "
        "loads them, unless ARGOS_COMPUTE_TYPE=float32 is set"
    )
    return tuple(notes)


def _readme(metadata: dict[str, str], notes: tuple[str, ...]) -> str:
    lines = [f"# {metadata['from_name']} → {metadata['to_name']}", "", "A translator made with pellucid.", ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)]) + "\n"
