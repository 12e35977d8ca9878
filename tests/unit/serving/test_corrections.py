"""Corrections: on the disk before the answer, whole lines after a kill, reviewed by people, off unless wanted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.service_kit import Shouter, client_of, pair_of, service_of

from pellucid.config.service import ServiceConfig
from pellucid.errors import ConfigError, DataError, RequestError
from pellucid.jobs.learning.review import review
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction, State
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.service import Service

PAIR = {"source": "de", "target": "en"}


def one(number: int) -> Correction:
    return Correction(f"Hund {number}", f"dog {number}", "de", "en")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    found = Journal(tmp_path / "corrections")
    found.make_folder()
    return found


@pytest.fixture
def server(journal: Journal) -> Iterator[TestClient]:
    pool = ModelPool([pair_of(Shouter())])
    service = Service(pool, ServiceConfig.model_validate({"limits": {"characters": 40}}), journal=journal)
    with client_of(service) as client:
        yield client


def test_both_protocols_write_what_they_were_sent_and_nothing_of_the_client(
    server: TestClient, journal: Journal
) -> None:
    given = {"q": "Hund", "s": "dog", **PAIR}
    for answer in (server.post("/suggest", data=given), server.post("/suggest", json=given)):
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    wish = {"text": "Die Katze\n\u2028", "correction": "the cat", "translation": "a cat", **PAIR}
    answer = server.post("/v1/corrections", json=wish)
    assert answer.status_code == 201
    records = [json.loads(line) for line in journal.path.read_text(encoding="ascii").splitlines()]
    assert [record["id"] for record in records][1] == answer.json()["id"]
    assert set(records[1]) == {"id", "state", "source", "target", "source_lang", "target_lang", "translation"}
    assert [(found.source, found.target, found.state) for found in journal.corrections()] == [
        ("Hund", "dog", State.PENDING),
        ("Die Katze\n\u2028", "the cat", State.PENDING),
    ]
    assert server.get("/frontend/settings").json()["suggestions"] is True
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_the_source_language_of_a_correction_may_be_auto(journal: Journal) -> None:
    pool = ModelPool([pair_of(Shouter()), pair_of(Shouter("fr", "en")), pair_of(Shouter("en", "de"))])
    texts = ["Le chien dort dans le jardin.", "Der Hund schläft im Garten."]
    with client_of(Service(pool, ServiceConfig(), journal=journal)) as client:
        pytest.importorskip("py3langid")
        auto = {"source": "auto", "target": "en"}
        assert client.post("/suggest", json={"q": texts[0], "s": "x", **auto}).status_code == 200
        assert client.post("/v1/corrections", json={"text": texts[1], "correction": "x", **auto}).status_code == 201
        assert client.post("/suggest", json={"q": "OK", "s": "x", "source": "auto", "target": "de"}).status_code == 200
        refused = client.post("/suggest", json={"q": texts[0], "s": "x", "source": "fr", "target": "auto"})
    assert [found.source_language for found in journal.corrections()] == ["fr", "de", "en"]
    assert (refused.status_code, "auto is for the source language" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"s": ""}, "Invalid request: missing s parameter"),
        ({"target": ""}, "Invalid request: missing target parameter"),
        ({"target": "zz"}, "zz is not supported"),
        ({"s": "x" * 41}, "Invalid request: request (41) exceeds text limit (40)"),
        ({"s": " \n"}, "a correction is a text and its translation, without NUL characters"),
        ({"q": "a\0"}, "a correction is a text and its translation, without NUL characters"),
    ],
)
def test_what_is_no_correction_is_refused(
    server: TestClient, journal: Journal, changes: dict[str, str], message: str
) -> None:
    answer = server.post("/suggest", json={"q": "a", "s": "b", **PAIR} | changes)
    assert (answer.status_code, answer.json()) == (400, {"error": message})
    assert journal.corrections() == []


def test_without_a_folder_everything_is_refused_and_said() -> None:
    with service_of(Shouter()) as service, client_of(service) as client:
        refused = client.post("/suggest", json={"q": "a", "s": "b", **PAIR})
        assert (refused.status_code, refused.json()) == (403, {"error": "Suggestions are disabled on this server."})
        assert client.post("/v1/corrections", json={"text": "a", "correction": "b", **PAIR}).status_code == 403
        assert client.get("/frontend/settings").json()["suggestions"] is False


def test_a_full_journal_and_a_full_disk_are_said_and_leave_whole_lines(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Journal(journal.path.parent, limit_bytes=300)
    with pytest.raises(RequestError, match="full"):
        [small.add(one(number)) for number in range(9)]
    before = journal.path.read_bytes()
    assert 0 < len(before) <= 300
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "no space")))
        with pytest.raises(OSError, match="no space"):
            journal.add(one(99))
    assert journal.path.read_bytes() == before
    journal.add(one(99))
    assert journal.corrections()[-1] == one(99)


def test_half_a_line_of_a_killed_writer_is_not_there_and_the_next_line_is_whole(journal: Journal) -> None:
    journal.add(one(1))
    whole = journal.path.read_bytes()
    for cut in range(1, len(whole)):
        journal.path.write_bytes(whole + whole[:cut])
        assert journal.corrections() == [one(1)]
    Journal(journal.path.parent).add(one(2))
    assert journal.corrections() == [one(1), one(2)]


WRITER = """
import sys
from pathlib import Path
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction
journal = Journal(Path(sys.argv[1]))
for number in range(100_000):
    print(journal.add(Correction(f"{sys.argv[2]} {number}", "x" * 500, "de", "en")), flush=True)
"""


def test_a_kill_loses_nothing_that_was_answered_and_two_writers_share_a_journal(journal: Journal) -> None:
    answered: list[str] = []
    for round in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(journal.path.parent), f"{round} {name}"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            answered += [writer.stdout.readline().strip() for _ in range(20 + round)]
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            answered += [line.strip() for line in writer.communicate()[0].splitlines(keepends=True) if line[-1] == "\n"]
    known = {found.id for found in journal.corrections()}
    assert len(answered) > 120
    assert set(answered) <= known


def test_a_review_decides_while_the_server_writes(journal: Journal) -> None:
    ids = [journal.add(one(number)) for number in range(4)]
    folder = journal.path.parent
    accepted, totals = review(folder, "accept", ids[:2])
    assert [found.state for found in accepted] == [State.ACCEPTED] * 2
    assert totals == "2 corrections here; in all 2 pending, 2 accepted, 0 rejected"
    journal.add(one(4))
    assert [found.id for found in review(folder, "list")[0]] == [ids[2], ids[3], one(4).id]
    review(folder, "reject", [ids[0]])
    review(folder, "reject", ["all"])
    assert [found.id for found in review(folder, "list", state="accepted")[0]] == [ids[1]]
    assert journal.add(one(0)) == ids[0]  # the same proposal again changes nothing
    assert len(review(folder, "list", state="rejected")[0]) == 4


def test_a_review_says_what_it_cannot_do(journal: Journal, tmp_path: Path) -> None:
    journal.add(one(1))
    folder = journal.path.parent
    for wrong in (("drop",), ("accept",), ("list", ["x"])):
        with pytest.raises(ConfigError):
            review(folder, *wrong)
    with pytest.raises(ConfigError, match="--state 'new' is unknown; use pending, accepted, rejected, all"):
        review(folder, "list", state="new")
    with pytest.raises(RequestError, match="has no correction 'x'"):
        review(folder, "accept", ["x"])
    with pytest.raises(DataError, match="no such file"):
        review(tmp_path / "none", "list")
    for line in (b"[]\n", b'{"id": "x", "state": "pending"}\n', b"\xff\n"):
        journal.path.write_bytes(line)
        with pytest.raises(DataError, match="line 1"):
            review(folder, "list")
