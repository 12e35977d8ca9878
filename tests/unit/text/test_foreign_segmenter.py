"""A stranger's SentencePiece file is opened in a child with limits; what kills the child does not reach us."""

from __future__ import annotations

import functools
import io
import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from pellucid.config import TokenizerConfig
from pellucid.errors import BundleError
from pellucid.text.sentencepiece import foreign as room
from pellucid.text.sentencepiece import sound_files
from pellucid.text.sentencepiece.foreign import foreign_segmenter
from pellucid.text.tokenizer import Tokenizer, load_tokenizer


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sound_files, "_in_memory", {})
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))


@functools.cache
def segmenter(seed: int) -> bytes:
    """Learn a SentencePiece model as others do: with control pieces, and with characters rewritten."""
    generator, model = random.Random(seed), io.BytesIO()
    words = ["".join(generator.choices("abdegiknotu", k=generator.randint(2, 5))) for _ in range(53)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(generator.choices(words, k=7)) for _ in range(101)]),
        model_writer=model,
        vocab_size=83,
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the files that children were asked to open, in their order."""
    asked: list[bytes] = []
    right = room._ask_child
    monkeypatch.setattr(room, "_ask_child", lambda model, *, place: asked.append(model) or right(model, place=place))
    return asked


def forget_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_files, "_in_memory", {})


def child_that_runs(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the child run another program after it has limited itself, in place of opening the file."""
    start = "import sys; from pellucid.text.sentencepiece.child import limit; limit()\n"
    monkeypatch.setattr(room, "_COMMAND", (sys.executable, "-P", "-c", start + textwrap.dedent(program)))


def test_a_sound_file_is_opened_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    right = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(k["env"]) or right(*a, **k))
    model = segmenter(1)
    assert foreign_segmenter(model, place="source.spm").pieces == foreign_segmenter(model, place="again").pieces
    assert len(calls) == 1
    # Nothing of our own environment goes there: no tokens, no proxies, no preloaded libraries.
    assert set(calls[0]) <= {"PYTHONPATH", "PYTHONUTF8", "OMP_NUM_THREADS", "SYSTEMROOT"}


def test_the_child_says_what_the_walk_says() -> None:
    model = segmenter(1)
    answer = room._ask_child(model, place="x")
    walked = foreign_segmenter(model, place="x").file
    assert answer["pieces"] == list(walked.pieces)
    assert answer["types"] == list(walked.types)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("sys.exit(3)", "exit status 3"),
        ("print('[]')", "returned no result"),
        ("print('{')", "returned no result"),
        ('print(\'{"error": "bad header"}\')', r"cannot read it \(bad header\)"),
        ('print(\'{"pieces": [], "types": []}\')', "other pieces"),
        ("kept = bytearray(3 << 30)", "crashed"),
        ("open('written', 'wb').write(bytes(600 << 20))", "crashed"),
    ],
)
def test_what_happens_in_the_child_is_told(
    program: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    child_that_runs(monkeypatch, program)
    with pytest.raises(BundleError, match=rf"source\.spm: .*{words}"):
        foreign_segmenter(segmenter(1), place="source.spm")


def test_an_endless_child_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    child_that_runs(monkeypatch, "import time\nwhile True: time.sleep(1)")
    monkeypatch.setattr(room, "WALL_SECONDS", 1)
    with pytest.raises(BundleError, match="did not open it within 1 seconds"):
        foreign_segmenter(segmenter(1), place="source.spm")


def test_processor_time_is_limited() -> None:
    resource = pytest.importorskip("resource")
    from pellucid.text.sentencepiece import child

    program = "from pellucid.text.sentencepiece.child import limit; limit(); import resource, json; print(json.dumps("
    program += "[resource.getrlimit(k) for k in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=room._environment())
    seconds, memory, core = json.loads(done.stdout)
    assert seconds[0] <= child.PROCESSOR_SECONDS
    assert memory[0] <= child.MEMORY_BYTES
    assert core == [0, 0]
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 or seconds  # ours stay as they are


def test_a_damaged_file_is_refused_by_the_walk_before_any_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_ask_child", lambda *a, **k: pytest.fail("the child was asked"))
    with pytest.raises(BundleError, match=r"source\.spm"):
        foreign_segmenter(segmenter(1)[:-7], place="source.spm")


def test_the_child_answers_a_file_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="cannot read it"):
        room._ask_child(b"no model", place="source.spm")


def test_the_child_is_a_plain_program(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from pellucid.text.sentencepiece import child

    monkeypatch.setattr(child, "limit", lambda: None)  # this is our own process
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(segmenter(1))))
    child.main()
    assert json.loads(capsysbinary.readouterr().out)["pieces"]


def test_another_process_of_this_user_does_not_ask_again(
    children: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        foreign_segmenter(segmenter(1), place="x")
        forget_this_process(monkeypatch)
    assert len(children) == 1


def test_another_file_and_another_version_of_sentencepiece_are_asked_for(
    children: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign_segmenter(segmenter(1), place="x")
    foreign_segmenter(segmenter(2), place="x")
    monkeypatch.setattr(sentencepiece, "__version__", "0.2.99")
    foreign_segmenter(segmenter(1), place="x")
    assert children == [segmenter(1), segmenter(2), segmenter(1)]


def test_what_the_child_refuses_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    child_that_runs(monkeypatch, "import os; os.abort()")
    for _ in range(2):
        with pytest.raises(BundleError, match="SIGABRT"):
            foreign_segmenter(segmenter(1), place="x")
    assert not sound_files.is_known_sound(segmenter(1))


def test_a_cache_folder_that_cannot_be_written_to_changes_nothing_else(
    children: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        foreign_segmenter(segmenter(1), place="x")
        forget_this_process(monkeypatch)
    assert len(children) == 2


def test_the_list_of_sound_files_does_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "sound-segmenters"
    path.parent.mkdir()
    path.write_bytes(b"x\n" * 50_000)
    sound_files.remember_sound(b"one")
    assert len(path.read_bytes()) < 200
    assert sound_files.is_known_sound(b"one")
    assert not sound_files.is_known_sound(b"another")


def test_a_tokenizer_of_a_model_folder_is_opened_in_a_child_and_one_trained_here_is_not(
    children: list[bytes], learnt: Callable[..., Tokenizer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    learnt(TokenizerConfig(vocab_size=503)).save(tmp_path)
    forget_this_process(monkeypatch)
    load_tokenizer(tmp_path)
    assert children == []
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "of another machine"))
    load_tokenizer(tmp_path)
    assert children == [(tmp_path / "sentencepiece.model").read_bytes()]


def test_a_model_folder_whose_segmenter_kills_its_reader_is_refused(
    learnt: Callable[..., Tokenizer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    learnt(TokenizerConfig(vocab_size=503)).save(tmp_path)
    forget_this_process(monkeypatch)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "of another machine"))
    child_that_runs(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(BundleError, match=r"sentencepiece\.model: the process that opened it crashed .*SIGSEGV"):
        load_tokenizer(tmp_path)
