"""``translate page.html -o other.html``: the name decides, and the report says what became of the codes."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import pellucid
from pellucid.cli.main import app
from pellucid.errors import ConfigError, DataError, DocumentError

PAGE = b"""<!DOCTYPE html>
<html><head><title>The cat</title><script>let a = "<p>The dog</p>"</script></head>
<body><h1>The <i>cat</i> sleeps.</h1><p>The <b class="x">dog</b> eats.<!-- note --> The <a href="?a=1&b=2">girl
reads</a> &amp; sings.</p><p translate="no">The bird</p></body></html>
"""


@pytest.fixture
def model() -> Path:
    return Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"


def run(*arguments: object) -> Result:
    fixed = ["--engine", "torch", "--beam-size", "1"]
    result = CliRunner().invoke(app, ["translate", *map(str, arguments), *fixed])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


class Tags(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[self.get_starttag_text() or ""] += 1

    def handle_endtag(self, tag: str) -> None:
        self.found[f"/{tag}"] += 1


def test_a_page_keeps_its_tags_and_everything_that_is_no_text(model: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "a.html", tmp_path / "b.html"
    source.write_bytes(PAGE)
    result = run(model, source, "-o", output)
    written = output.read_bytes()
    assert written != PAGE
    assert Tags(written).found == Tags(PAGE).found
    for same in (
        b"<!DOCTYPE html>\n<html>",
        b'<script>let a = "<p>The dog</p>"</script>',
        b'<p translate="no">The bird</p>',
    ):
        assert same in written
    assert "3 segments, 7 codes" in result.stderr
    with pytest.raises(ConfigError, match="--force"):
        run(model, source, "-o", output)
    # The format can be stated, and then the name does not matter.
    (tmp_path / "page").write_bytes(PAGE)
    run(model, tmp_path / "page", "--format", "html", "-o", output, "--force")
    assert output.read_bytes() == written


def test_what_does_not_fit_a_document_is_refused(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_bytes(PAGE)
    for arguments, problem in (
        ([page], "needs --output"),
        ([page, "-o", page], "also the input"),
        ([page, "-o", tmp_path / "b", "--alignment"], "do not fit a document"),
        ([page, "-o", tmp_path / "b", "--lines", "wrap"], "for plain text"),
        ([page, "-o", tmp_path / "b", "--restart"], "is for lines"),
        ([page, "--format", "latex"], "is unknown; use text, jsonl, moses, or for a document txt, html"),
    ):
        with pytest.raises(ConfigError, match=problem):
            run(model, *arguments)
    with pytest.raises(DataError, match="no such file"):
        run(model, tmp_path / "missing.html", "-o", tmp_path / "b")
    page.write_bytes(b"<p>\xff</p>")
    with pytest.raises(DocumentError, match="not valid utf-8: byte 3"):
        run(model, page, "-o", tmp_path / "b")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.html"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can write")
def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_opened(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        pytest.fail("the model was opened")

    monkeypatch.setattr("pellucid.jobs.options.translation.open_translator", refuse)
    (tmp_path / "a.html").write_bytes(PAGE)
    with pytest.raises(ConfigError, match=r"b\.html: cannot be written in that folder"):
        run(model, tmp_path / "a.html", "-o", "/proc/self/b.html")
