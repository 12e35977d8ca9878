"""A thousand damaged folders: each is read or refused with a sentence; nothing crashes, nothing is executed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.interop.marian_reading import read_marian

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


def test_damage_is_refused_or_harmless(marian: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in marian.iterdir())
    folder = Path(shutil.copytree(marian, tmp_path / "copy"))
    refusals = []
    for seed in range(ROUNDS):
        generator = random.Random(seed)
        name = names[seed % len(names)]
        whole = (marian / name).read_bytes()
        (folder / name).write_bytes(mutate(whole, generator))
        try:
            model = read_marian(folder)
            model.tokenizer.encode_source(["Bata gune, ｄépo ½ \u2603."])
            model.tokenizer.decode_target([[2, 3, 5]])
        except PellucidError as error:
            refusals.append(str(error))
        (folder / name).write_bytes(whole)
    assert len(refusals) > ROUNDS // 2
    assert all(str(folder) in refusal for refusal in refusals)
