"""A thousand damaged folders: each is read or refused with a sentence; nothing crashes, nothing is executed."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.errors import BundleError, PellucidError
from pellucid.interop.foreign_model import ForeignModel
from pellucid.interop.huggingface.reading import read_marian
from pellucid.interop.marian.reading import read_marian_npz
from pellucid.text.sentencepiece import foreign as foreign_segmenter
from pellucid.text.sentencepiece import sound_files

from .kit import segmenter
from .npz_kit import make_npz_folder

ROUNDS = 1000
WORDS = [b"\x00", b"\xff\xff\xff\xff", b"null", b"-1", b"1e999", b'"', b"}", b"[[[[", b"true", b"\xed\xa0\x80"]


def mutate(raw: bytes, generator: random.Random) -> bytes:
    content = bytearray(raw)
    kind = generator.randrange(6)
    # Heads are where lengths and names stand, so half of the damage goes there.
    reach = min(len(content), 400) if generator.random() < 0.5 else len(content)
    place = generator.randrange(reach) if reach else 0
    if kind == 0:
        return bytes(content[:place])
    if kind == 1:
        content[place:place] = generator.choice(WORDS)
    elif kind == 2:
        del content[place : place + generator.randint(1, 9)]
    elif kind == 3:
        content[place : place + 4] = generator.choice(WORDS)
    elif kind == 4:
        for _ in range(generator.randint(1, 9)):
            content[generator.randrange(reach)] = generator.randrange(256)
    else:
        content[place : place + 40] = bytes(reversed(content[place : place + 40]))
    return bytes(content)


# As those of tests/fuzz/: hundreds of inputs, the same each time.
pytestmark = pytest.mark.slow


@pytest.fixture
def _opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the child, which has a test of its own below: a thousand processes would take minutes."""
    monkeypatch.setattr(foreign_segmenter, "_ask_child", lambda model, *, place: {})
    monkeypatch.setattr(foreign_segmenter, "_compare", lambda told, file, *, place: None)
    monkeypatch.setattr(foreign_segmenter, "remember_sound", lambda model: None)


def largest_memory_bytes() -> int:
    resource = pytest.importorskip("resource")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) << 10


def damaged(
    whole: Path, folder: Path, read: Callable[[Path], ForeignModel], *, rounds: int, weighty: str = ""
) -> list[str]:
    """Damage one file after the other and read the folder; return the refusals."""
    names = sorted(path.name for path in whole.iterdir()) + [weighty] * (4 if weighty else 0)
    shutil.copytree(whole, folder)
    read(folder)
    before = largest_memory_bytes()
    refusals = []
    for seed in range(rounds):
        generator = random.Random(seed)
        name = names[seed % len(names)]
        content = (whole / name).read_bytes()
        (folder / name).write_bytes(mutate(content, generator))
        try:
            model = read(folder)
            model.tokenizer.encode_source(["Bata gune, ｄépo ½ \u2603."])
            model.tokenizer.decode_target([[2, 3, 5]])
        except PellucidError as error:
            refusals.append(str(error))
        (folder / name).write_bytes(content)
    assert all(str(folder) in refusal for refusal in refusals)
    # Whatever lengths the damage promises, nothing of that size is made.
    assert largest_memory_bytes() - before < 256 << 20
    return refusals


@pytest.mark.usefixtures("_opened_here")
def test_damage_to_a_marianmt_folder_is_refused_or_harmless(marian: Path, tmp_path: Path) -> None:
    assert len(damaged(marian, tmp_path / "copy", read_marian, rounds=ROUNDS)) > ROUNDS // 2


@pytest.mark.usefixtures("_opened_here")
@pytest.mark.parametrize("kind", ["yml", "spm"])
def test_damage_to_a_model_of_marians_own_is_refused_or_harmless(kind: str, tmp_path: Path) -> None:
    whole = make_npz_folder(tmp_path / "whole", kind=kind)
    found = damaged(whole, tmp_path / "copy", read_marian_npz, rounds=ROUNDS // 4, weighty="model.npz")
    assert len(found) > ROUNDS // 10
    # The list, the heads, the checksums and the options are all reached.
    for words in (".npz file", "cannot be read", "model.npz"):
        assert any(words in refusal for refusal in found), words


def repacked(path: Path, generator: random.Random) -> None:
    """Damage an array's head or numbers and pack the archive anew, so that its checksums are right."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = generator.choice([*entries, *["special:model.yml.npy"] * (len(entries) // 4)])
    entries[name] = mutate(entries[name], generator)
    with zipfile.ZipFile(path, "w", generator.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)


@pytest.mark.usefixtures("_opened_here")
def test_damage_inside_a_sound_archive_is_refused_or_harmless(tmp_path: Path) -> None:
    whole = make_npz_folder(tmp_path / "whole")
    refusals = []
    for seed in range(ROUNDS // 2):
        shutil.copy(whole / "model.npz", tmp_path / "kept.npz")
        repacked(whole / "model.npz", random.Random(seed))
        try:
            read_marian_npz(whole)
        except PellucidError as error:
            refusals.append(str(error))
        shutil.move(tmp_path / "kept.npz", whole / "model.npz")
    assert len(refusals) > ROUNDS // 8
    assert all(str(whole) in refusal for refusal in refusals)


def test_damaged_segmenters_are_opened_in_a_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sound_files, "_in_memory", {})
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    whole, opened, refusals = segmenter(1), 0, []
    for seed in range(150):
        model = mutate(whole, random.Random(seed))
        try:
            foreign_segmenter.foreign_segmenter(model, place="source.spm").encode(["Bata gune, ｄépo ½ \u2603."])
        except BundleError as error:
            refusals.append(str(error))
        opened += sound_files.is_known_sound(model)
        if opened == 7:  # each is a process
            break
    assert opened == 7
    assert refusals
    assert all("source.spm" in refusal for refusal in refusals)
