"""Text that is not UTF-8 is refused whole by every verb: file, line, the likely encoding, and how to read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command

LINES = [f"Das Mädchen hört {number} schöne Lieder für müde Füße." for number in range(9)]
SOURCE = "\n".join(["Guten Tag.", *LINES]) + "\n"
TARGET = SOURCE.replace("Das", "The")
PAIRS = "".join(f"{line}\t{line.upper()}\n" for line in SOURCE.splitlines())
TMX = (
    '<?xml version="1.0" encoding="UTF-8"?><tmx version="1.4"><header/><body>\n'
    + "".join(
        f'<tu><tuv xml:lang="de"><seg>{line}</seg></tuv><tuv xml:lang="en"><seg>x {line}</seg></tuv></tu>\n'
        for line in SOURCE.splitlines()
    )
    + "</body></tmx>\n"
)
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + "".join(
    f'msgid "{line}"\nmsgstr "x {line}"\n\n' for line in SOURCE.splitlines()
)
TRAINING = ("train", "--output", "run", "--src-lang", "de", "--tgt-lang", "en", "--set", "training.train_steps=1")


def train_on(*files: str) -> tuple[str, ...]:
    return (*TRAINING, "--set", f"data.train=[{{files={list(files)}}}]".replace("'", '"'))


@pytest.fixture
def texts(tmp_path: Path) -> None:
    for encoding, ending in (("cp1252", "latin"), ("utf-8", "good")):
        for name, text in {
            "source": SOURCE,
            "target": TARGET,
            "pairs.tsv": PAIRS,
            "pairs.csv": PAIRS.replace("\t", ","),
            "m.tmx": TMX,
            "m.po": PO,
            "m.de": SOURCE,
            "m.en": TARGET,
        }.items():
            (tmp_path / f"{ending}_{name}").write_bytes(text.encode(encoding))


CASES = {
    "train, parallel files": ((*TRAINING, "--train-src", "latin_source", "--train-tgt", "good_target"), 2),
    "train, TSV": (train_on("latin_pairs.tsv"), 2),
    "train, CSV": (train_on("latin_pairs.csv"), 2),
    "train, two files": (train_on("latin_m.de", "latin_m.en"), 2),
    "train, TMX": (train_on("latin_m.tmx"), 3),
    "train, PO": (train_on("latin_m.po"), 7),
    "translate to a file": (("translate", "MODEL", "latin_source", "--output", "out"), 2),
    "translate to a screen": (("translate", "MODEL", "latin_source"), 2),
    "translate with prefixes": (("translate", "MODEL", "good_source", "--prefix-file", "latin_target"), 2),
    "translate with terms": (("translate", "MODEL", "good_source", "--terms", "latin_pairs.tsv"), 2),
    "translate with a memory": (("translate", "MODEL", "good_source", "--memory", "latin_pairs.tsv"), 2),
    "a document of text": (("translate", "MODEL", "latin_source", "--document"), 2),
    "synthesize": (("synthesize", "MODEL", "latin_source", "--output", "out"), 2),
    "synthesize with a reference": (
        ("synthesize", "MODEL", "good_source", "--output", "out", "--kind", "distillation", "--reference",
         "latin_target"), 2,
    ),
    "evaluate, source": (("evaluate", "MODEL", "--src", "latin_source", "--ref", "good_target"), 2),
    "evaluate, reference": (("evaluate", "MODEL", "--src", "good_source", "--ref", "latin_target"), 2),
    "evaluate, translations": (("evaluate", "--hyp", "latin_source", "--ref", "good_target", "--tgt-lang", "en"), 2),
    "evaluate, a test set": (("evaluate", "MODEL", "--test", "latin_pairs.tsv"), 2),
    "score": (("score", "MODEL", "--src", "good_source", "--tgt", "latin_target"), 2),
    "align": (("align", "MODEL", "--src", "latin_source", "--tgt", "good_target"), 2),
}  # fmt: skip


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize("name", CASES)
def test_a_file_in_another_encoding_is_refused(name: str, command: Command, tiny_model: Path, tmp_path: Path) -> None:
    words, line = CASES[name]
    before = {path.name for path in tmp_path.iterdir()}
    done = command(*(tiny_model if word == "MODEL" else word for word in words))
    assert done.status == 1, done.err
    bad = next(word for word in str(words).replace('"', "'").split("'") if word.startswith("latin_"))
    assert f"{bad}, line {line}:" in done.err
    assert "the text looks like WINDOWS-1252 (Latin-1) or an encoding near it" in done.err
    assert "iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW" in done.err
    assert "save the file as UTF-8" in done.err or "save it as UTF-8" in done.err
    assert "Traceback" not in done.err
    assert {path.name for path in tmp_path.iterdir()} - before <= {"run"}


@pytest.mark.usefixtures("texts")
def test_synthesize_reads_such_a_file_as_it_is_told(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    short = ("--set", "beam_size=1", "--set", "max_length_constant=5", "--set", "max_length_factor=0.1")
    start = ("synthesize", tiny_model, "latin_source", *short, "--set", "drop_flags=[]")
    refused = command(*start, "--output", "strict.tsv")
    assert refused.status == 1
    assert "or give --set invalid_utf8='replace' or 'skip'" in refused.err
    skipped = command(*start, "--output", "skip.tsv", "--set", "invalid_utf8=skip")
    assert skipped.status == 0, skipped.err
    assert "10 lines read, 1 pair written; dropped: unreadable 9" in skipped.err
    replaced = command(*start, "--output", "replace.tsv", "--set", "invalid_utf8=replace")
    assert replaced.status == 0, replaced.err
    assert "10 lines read, 10 pairs written" in replaced.err
    rows = (tmp_path / "replace.tsv").read_text("utf-8").splitlines()
    assert [row.split("\t")[1] for row in rows] == SOURCE.encode("cp1252").decode("utf-8", "replace").splitlines()


@pytest.mark.usefixtures("texts")
def test_a_few_damaged_lines_are_no_other_encoding(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    """They fail alone, as ever, where lines are independent of each other."""
    raw = (tmp_path / "good_source").read_bytes().splitlines(keepends=True)
    (tmp_path / "damaged").write_bytes(b"".join([*raw[:3], b"caf\xe9\n", *raw[3:], b"\xff\n", b"th\xe9\n"]))
    done = command("translate", tiny_model, "damaged", "--set", "beam_size=1", "--set", "max_length_factor=0.1")
    assert done.status == 1
    assert len(done.out.splitlines()) == 13
    assert "damaged, line 4: byte 4 (0xe9) is not valid UTF-8; the text looks like WINDOWS-1252" in done.err
    assert done.err.count("the text looks like") == 1, "the guess is told once"
