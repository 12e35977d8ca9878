"""The environments of the other toolkits of the training race, and the inputs of JoeyNMT.

Read ``joeynmt/side.py`` and ``huggingface/side.py`` for what runs there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Environment:
    """What pip installs for one toolkit."""

    name: str
    requirements: tuple[str, ...]
    constraints: Path


JOEYNMT = Environment(
    "joeynmt",
    ("torch==2.13.0", "joeynmt==2.3.0", "sentencepiece==0.2.0", "importlib_metadata==8.7.1"),
    FOLDER / "joeynmt" / "constraints.txt",
)
HUGGINGFACE = Environment(
    "huggingface",
    ("torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0"),
    FOLDER.parent / "constraints.txt",
)


def environment_python(environment: Environment, folder: Path) -> Path:
    """Make the environment unless it is there and was made from the same pins; return its Python."""
    pins = environment.constraints.read_bytes() + " ".join(environment.requirements).encode()
    key = hashlib.sha256(pins).hexdigest()
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = folder / "installed.sha256"
    if stamp.is_file() and stamp.read_text() == key:
        return python
    print(f"making {folder} with {sys.executable}: about 1.6 GB and a minute", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--quiet",
    ]
    subprocess.run([*pip, "-c", str(environment.constraints), *environment.requirements], check=True)
    stamp.write_text(key)
    return python


def write_vocabulary(tokenizer: Path, output: Path) -> Path:
    """Write the pieces of our joint tokenizer as JoeyNMT wants them, a piece a line; return the segmenter.

    Raises:
        SystemExit: the tokenizer is not one joint SentencePiece model, or a piece would break its line.
    """
    description = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    files = description["files"]["source"]
    if not description["joint"] or "segmenter" not in files:
        raise SystemExit(f"{tokenizer}: the race needs one joint SentencePiece model")
    ids = json.loads((tokenizer / files["vocabulary"]).read_text(encoding="utf-8"))
    pieces = sorted(ids, key=ids.__getitem__)
    # It reads the file with str.splitlines, which also splits at characters other than the line feed.
    broken = [piece for piece in pieces if len(piece.splitlines()) != 1]
    if broken:
        raise SystemExit(f"JoeyNMT cannot read a vocabulary with these pieces: {broken}")
    output.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return tokenizer / files["segmenter"]


def write_config(output: Path, **values: object) -> None:
    """Fill JoeyNMT's template in; every ``$name`` must be given."""
    template = Template((FOLDER / "joeynmt" / "recipe.yaml").read_text(encoding="utf-8"))
    output.write_text(template.substitute(values), encoding="utf-8")
