"""``translate letter.docx -o lettre.docx``: another text in the same document, and the report says what stayed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.unit.documents.zipped.archives import docx, epub, members_of, odf, pptx, xlsx
from tests.unit.documents.zipped.reader_view import seen
from tests.unit.documents.zipped.samples import COMMENT, STYLES, a_run, boxed, cells, p, span
from tests.unit.documents.zipped.samples_word import BOLD, field, paragraph, run
from typer.testing import CliRunner

import pellucid
from pellucid.cli.main import app

LINK = '<w:hyperlink r:id="rId1">{}</w:hyperlink>'
DOCUMENTS = {
    "a.docx": docx(
        paragraph(run("The "), run("cat", BOLD), run(" sleeps on page "), field("PAGE", run("3")), run("."))
        + paragraph(run("The dog sees "), LINK.format(run("the girl")), run("."))
    ),
    "a.pptx": pptx(boxed(a_run("The "), a_run("dog", '<a:rPr b="1"/>'), a_run(" eats."))),
    "a.xlsx": xlsx(
        "<si><t>The cat sleeps.</t></si><si><t>The dog eats.</t></si>",
        cells(0, 1, 0) + "<row r='2'><c r='A2'><f>LEN(A1)</f><v>15</v></c></row>",
        more={
            "xl/comments1.xml": ("application/vnd.openxmlformats-officedocument.spreadsheetml.comments+xml", COMMENT)
        },
    ),
    "a.odt": odf("text", p(f"The {span('cat')} sleeps.<text:tab/>The dog eats."), styles=STYLES),
    "a.epub": epub("<p>The <b>cat</b> sleeps.</p><p>The dog eats.</p>"),
}


def elements(archive: bytes) -> dict[str, Counter[object]]:
    """Count the elements of every member with text, without those that hold a run or a stretch of text."""
    return {
        name: Counter(one[0] for one in seen(data) if len(str(one[0])) > 1)
        for name, data in members_of(archive).items()
        if name.endswith((".xml", ".xhtml"))
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_translated(name: str, tmp_path: Path) -> None:
    model = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
    (tmp_path / name).write_bytes(DOCUMENTS[name])
    output = tmp_path / f"other-{name}"
    arguments = ["translate", model, tmp_path / name, "-o", output, "--engine", "torch", "--beam-size", "1"]
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    written = output.read_bytes()
    assert written != DOCUMENTS[name]
    assert elements(written) == elements(DOCUMENTS[name])
    if name == "a.xlsx":
        assert "1 sheet name left as it is" in result.stderr
        assert b"<f>LEN(A1)</f><v>15</v>" in members_of(written)["xl/worksheets/sheet1.xml"]
