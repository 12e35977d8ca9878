"""What translating holds in memory has an end, however long the file is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models import random_model, save_model

from pellucid.config import PRESETS, TokenizerConfig
from pellucid.jobs.serve import walkthrough_folder
from pellucid.sample.corpus import build_corpus
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import train_tokenizer

SOURCE = Path(__file__).resolve().parents[2] / "src"
MOST_MEGABYTES = 500

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc, which Linux has")

_PEAK = """
def peak_megabytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1000
"""
_FILE = (
    _PEAK
    + """
import sys
from pathlib import Path
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import OutputFormat, translate_file

folder, file, output = sys.argv[1:]
# Random weights know no end; this is about as long as a translation is.
length = ["max_length_factor=1.0", "max_length_constant=3"]
done = translate_file(
    Path(folder),
    file,
    output=Path(output),
    format=OutputFormat.TEXT,
    options=TranslationOptions(settings=length, device="cpu", threads=1),
)
print(done.lines, peak_megabytes())
"""
)
_ALLOWED_MODULES = """
import sys
import pellucid

pellucid.load(sys.argv[1], device="cpu")
print(*sorted({"sympy", "torch._dynamo", "torch._inductor"} & sys.modules.keys()))
"""


def run(code: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_file_of_9000_lines_stays_under_500_megabytes(tmp_path: Path) -> None:
    corpus = build_corpus(seed=3, train_size=9000, valid_size=0, test_size=0)
    pairs = [SentencePair(pair.source, pair.target, line, 0) for line, pair in enumerate(corpus.train)]
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(), seed=1, threads=1)
    model = random_model(tokenizer, seed=1, **PRESETS["tiny"], max_positions=1024)
    save_model(tmp_path / "model", model, tokenizer, source_language="en", target_language="fr")
    (tmp_path / "in").write_text("".join(pair.source + "\n" for pair in pairs), encoding="utf-8")
    lines, peak = map(int, run(_FILE, tmp_path / "model", tmp_path / "in", tmp_path / "out").split())
    assert lines == 9000
    assert (tmp_path / "out").read_text(encoding="utf-8").count("\n") == 9000
    assert 100 < peak < MOST_MEGABYTES


def test_opening_a_model_does_not_import_a_compiler() -> None:
    """Torch's compiler and sympy are 90 MB that nothing here uses."""
    assert run(_ALLOWED_MODULES, walkthrough_folder()) == ""
