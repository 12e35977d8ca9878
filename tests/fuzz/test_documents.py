"""Damaged documents of every format: some of each, and those that once did harm, in the suite that runs always.

``test_fuzz.py`` gives a thousand more to a process with limits of memory and time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.documents import DOCUMENT_TARGETS, take
from tests.fuzz.harness import Target
from tests.fuzz.kept import documents as kept_documents

from pellucid.documents.naming import FORMATS
from pellucid.errors import PellucidError

EACH = 12
KINDS = [one.name for one in FORMATS]
KEPT = kept_documents(zipped=False) | kept_documents(zipped=True)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return [make(Path(tmp_path_factory.mktemp("fuzz"))) for make in DOCUMENT_TARGETS.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_sound_and_damaged_documents_come_back_or_are_refused(kind: str, targets: list[Target]) -> None:
    target = next(one for one in targets if any(name.split(",")[0] == kind for name in one.seeds))
    seeds = {name: data for name, data in target.seeds.items() if name.split(",")[0] == kind}
    for name in list(seeds)[:3]:
        target.take(name, seeds[name])
    own = Target(take, seeds, mutators=target.mutators, words=target.words)
    refused = 0
    for number in range(EACH):
        name, data = own.input(number)
        try:
            take(name, data)
        except PellucidError:
            refused += 1
    assert refused < EACH, "damage that is always refused finds nothing"


@pytest.mark.parametrize("label", KEPT)
def test_documents_that_once_did_harm_do_none(label: str) -> None:
    name, data = KEPT[label]
    try:
        take(name, data)
    except PellucidError:
        assert label in ("no XML", "a message of a parser")
