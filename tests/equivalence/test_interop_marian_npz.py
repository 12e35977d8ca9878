"""An imported .npz computes what Marian itself computes, where Marian's own library is installed.

``pip install pymarian`` brings Marian's C++ (a wheel of 600 MB, so it is not among the packages that tests
install); without it these are skipped, and conversions rest on the independent pass of ``interop/``.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.unit.interop.kit import sentences
from tests.unit.interop.npz_kit import PRE_NORM, make_npz_folder

from pellucid.interop.marian.reading import read_marian_npz
from pellucid.translation.scoring import forced_log_probabilities

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("_pymarian") is None, reason="pymarian, 600 MB, is not installed: pip install pymarian"
)
KINDS: dict[str, dict[str, object]] = {
    "tied": {},
    "separate": {"separate": True, "tied_embeddings_all": "false"},
    "source tied alone": {"tied_embeddings_all": "false", "tied_embeddings_src": "true"},
    "relu": {"transformer_ffn_activation": "relu", "dec_depth": "3"},
    "pre-norm": PRE_NORM,
    "no output bias": {"bias": False, "output_omit_bias": "true"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_score_for_every_word(kind: str, tmp_path: Path) -> None:
    # Widths that Marian's vector code takes.
    shape = {"dim_emb": "24", "transformer_heads": "4", "transformer_dim_ffn": "32"}
    folder = make_npz_folder(tmp_path / "npz", kind="spm", **shape, **KINDS[kind])  # type: ignore[arg-type]
    pairs = list(zip(sentences(1)[:61], sentences(2)[:61], strict=True))
    for name, side in (("source", 0), ("target", 1)):
        (folder / name).write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    program = "import sys, _pymarian; sys.exit(_pymarian.main(sys.argv[1:]))"
    options = "score -m model.npz -v vocab.src.spm vocab.trg.spm -t source target --word-scores --quiet"
    done = subprocess.run(
        [sys.executable, "-c", program, *options.split(), "--cpu-threads", "1", "--mini-batch", "7", "-w", "128"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = read_marian_npz(folder)
    eos = found.tokenizer.specials.eos
    for (source, target), line in zip(pairs, done.stdout.splitlines(), strict=True):
        told = re.search(r"WordScores= ([-\d. ]+)", line)
        assert told is not None
        ids = [[*found.tokenizer.encode_source([source])[0], eos], [*found.tokenizer.encode_target([target])[0], eos]]
        ours = torch.tensor(forced_log_probabilities([found.model], ids[:1], ids[1:])[0])
        # Marian prints five decimals, and computes in single precision.
        assert torch.allclose(torch.tensor([float(word) for word in told[1].split()]), ours, rtol=0, atol=2e-5)
