"""``--memory``: files of every format beside a model, for lines, documents and the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.end_to_end.conftest import Command
from tests.models import random_model, save_model

from pellucid.config.service import ServedMemory, ServiceConfig
from pellucid.errors import ConfigError, DataError
from pellucid.jobs.memories.reading import memories_of
from pellucid.jobs.service.opening import open_service

pytest.importorskip("rapidfuzz")
TMX = """<?xml version="1.0"?>
<tmx version="1.4"><header srclang="de" creationid="anna.secret"/><body>
<tu changedate="19991231T235959Z" changeid="anna.secret"><note>a secret note</note>
<tuv xml:lang="de-DE" creationid="anna.secret"><seg>Ein Hund. Er bellt.</seg></tuv>
<tuv xml:lang="en-GB" creationdate="19991231T235959Z"><seg>A dog barks.</seg></tuv></tu>
<tu><tuv xml:lang="de-DE"><seg>Noch <ph x="1"/> Tage</seg></tuv>
<tuv xml:lang="en-GB"><seg><ph x="1"/> days left</seg></tuv></tu>
</body></tmx>
"""
PERSONAL = ("1999", "anna", "secret")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    (folder / "memory.tmx").write_text(TMX, encoding="utf-8")
    network = random_model(seed=5, d_model=12, d_feedforward=17, num_encoder_layers=1, num_decoder_layers=1)
    return save_model(folder / "toy", network, source_language="de", target_language="en")


def test_lines_documents_and_parts_use_the_memory_and_say_so(command: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("  Ein  Hund. Er bellt.\nNoch <x1/> Tage\nNoch <x1/> Tag\nzz\n", encoding="utf-8")
    options = ("--memory", model.parent / "memory.tmx", "--set", "beam_size=1", "--format", "jsonl")
    for more in ((), ("--output", "out"), ("--document",)):
        outcome = command("translate", model, "t", *options, *more)
        assert outcome.status == 0, outcome.err
        text = (tmp_path / "out").read_text(encoding="utf-8") if "--output" in more else outcome.out
        rows = [json.loads(line) for line in text.splitlines()]
        assert [row["origin"] for row in rows] == ["memory", "memory", "model", "model"]
        assert [row["text"].strip() for row in rows[:2]] == ["A dog barks.", "<x1/> days left"]
        assert rows[2]["matches"][0] == {
            "source": "Noch <x1/> Tage",
            "target": "<x1/> days left",
            "score": 96.6,
            "only_in_memory": ["Tage"],
            "only_in_text": ["Tag"],
        }
        assert "matches" not in rows[3]
        assert "memory 2, memory_match 1" in outcome.err
        assert not any(word in text + outcome.err for word in PERSONAL)


def test_a_document_uses_the_memory_and_the_report_says_so(command: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>Ein Hund. Er bellt.</p><p>zz</p>")
    options = ("--memory", model.parent / "memory.tmx", "--set", "beam_size=1")
    outcome = command("translate", model, "a.html", "-o", "b.html", *options)
    assert outcome.status == 0, outcome.err
    assert "<p>A dog barks.</p>" in (tmp_path / "b.html").read_text()
    assert "from the memory 1" in outcome.err


def test_the_service_has_a_memory_for_each_pair_that_the_file_has(model: Path) -> None:
    memory = ServedMemory(path=str(model.parent / "memory.tmx"))
    said: list[str] = []
    service = open_service(ServiceConfig(memories=(memory,)), [model], threads=1, say=said.append)
    (pair,) = service.pool.pairs.values()
    assert pair.memory is not None
    assert pair.memory.exact("Ein Hund. Er bellt.") == "A dog barks."
    assert any("2 units = 2 used" in line for line in said)
    found = memories_of([memory], [("de", "en"), ("en", "de"), ("fr", "en")], said.append)
    assert set(found) == {("de", "en"), ("en", "de")}
    assert found["en", "de"].exact("A dog barks.") == "Ein Hund. Er bellt."


def test_a_memory_that_is_for_nobody_or_for_anybody_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("Hund\tdog\n", encoding="utf-8")
    pairs = [("de", "en"), ("en", "de")]
    with pytest.raises(ConfigError, match="does not say its languages, and there are several models"):
        memories_of([ServedMemory(path=str(tmp_path / "m.tsv"))], pairs, str)
    stated = ServedMemory(path=str(tmp_path / "m.tsv"), source="de", target="en")
    assert list(memories_of([stated], pairs, str)) == [("de", "en")]
    with pytest.raises(DataError, match="has no text in 'fr'"):
        memories_of([ServedMemory(path=str(model.parent / "memory.tmx"))], [("fr", "it")], str)
    with pytest.raises(DataError, match="no such file"):
        memories_of([ServedMemory(path=str(tmp_path / "none.tmx"))], pairs, str)
