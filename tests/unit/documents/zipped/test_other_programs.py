"""Documents that other libraries write can be read, and what we write of them can be opened by those libraries."""

from __future__ import annotations

import io
from typing import Any

import pytest
from tests.unit.documents.zipped.archives import members_of
from tests.unit.documents.zipped.samples import SAMPLES

from pellucid.documents.naming import format_named, read_document


def shouted(data: bytes, kind: str) -> bytes:
    document = read_document(data, format_named(kind))
    return document.merge(
        [tuple(part.upper() if isinstance(part, str) else part for part in one.parts) for one in document.segments]
    )


def saved(document: Any) -> bytes:
    sink = io.BytesIO()
    document.save(sink)
    return sink.getvalue()


def words_of_word(data: bytes) -> list[tuple[str, bool]]:
    """Return every run with whether it is bold, in the body, its tables, the header and the comments."""
    document = pytest.importorskip("docx").Document(io.BytesIO(data))
    paragraphs = [
        *document.paragraphs,
        *(one for table in document.tables for cell in table._cells for one in cell.paragraphs),
        *document.sections[0].header.paragraphs,
        *(one for comment in document.comments for one in comment.paragraphs),
    ]
    return [(run.text, bool(run.bold)) for one in paragraphs for run in one.runs if run.text]


def test_word() -> None:
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    document = docx.Document()
    document.add_heading("A heading", 1)
    paragraph = document.add_paragraph("A ")
    bold = paragraph.add_run("bold")
    bold.bold = True
    paragraph.add_run(" word.\tAfter a tab\nand a line")
    document.add_comment(bold, "Really?", author="Ann")
    table = document.add_table(2, 2)
    table.cell(0, 0).text = "A cell"
    table.cell(1, 1).text = "12.5"
    document.sections[0].header.paragraphs[0].text = "A header"
    before = saved(document)
    after = shouted(before, "docx")
    joined = lambda words: ["".join(text for text, is_bold in words if is_bold is look) for look in (True, False)]  # noqa: E731
    assert joined(words_of_word(after)) == [text.upper() for text in joined(words_of_word(before))]
    assert saved(docx.Document(io.BytesIO(after)))
    old, new = members_of(before), members_of(after)
    changed = {name for name in old if old[name] != new[name]}
    assert changed == {"word/document.xml", "word/header1.xml", "word/comments.xml"}


def test_powerpoint() -> None:
    pptx = pytest.importorskip("pptx", reason="python-pptx is not installed")
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "A title"
    frame = slide.placeholders[1].text_frame
    frame.text = "A first point"
    run = frame.add_paragraph().add_run()
    run.text, run.font.bold = "a bold point", True
    slide.notes_slide.notes_text_frame.text = "Say this slowly"
    table = slide.shapes.add_table(1, 2, 0, 0, 9, 9).table
    table.cell(0, 0).text = "A cell"
    before = saved(show)
    after = shouted(before, "pptx")

    def texts(data: bytes) -> list[str]:
        (one,) = pptx.Presentation(io.BytesIO(data)).slides
        boxes = [shape.text_frame.text for shape in one.shapes if shape.has_text_frame]
        inside = [cell.text for shape in one.shapes if shape.has_table for cell in shape.table.iter_cells()]
        return [*boxes, *inside, one.notes_slide.notes_text_frame.text]

    assert texts(after) == [text.upper() for text in texts(before)]
    assert "A FIRST POINT\nA BOLD POINT" in texts(after)
    assert saved(pptx.Presentation(io.BytesIO(after)))


def test_excel() -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    from openpyxl.cell.rich_text import CellRichText, TextBlock
    from openpyxl.cell.text import InlineFont
    from openpyxl.comments import Comment
    from openpyxl.worksheet.table import Table

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["City", "People"])
    sheet.append(["A village", 12])
    sheet.append([None, "=B2*2"])
    sheet["D1"] = CellRichText("A ", TextBlock(InlineFont(b=True), "bold"), " cell")
    sheet["D2"], sheet["D3"] = True, 12.5
    sheet["A2"].comment = Comment("Is this so?", "Ann")
    sheet.add_table(Table(displayName="T", ref="A1:B2"))
    after = shouted(saved(book), "xlsx")
    read = openpyxl.load_workbook(io.BytesIO(after), rich_text=True).active
    assert [[cell.value for cell in row] for row in read["A1:B3"]] == [
        ["City", "People"],
        ["A VILLAGE", 12],
        [None, "=B2*2"],
    ]
    assert [type(part).__name__ + str(part) for part in read["D1"].value] == ["strA ", "TextBlockBOLD", "str CELL"]
    assert (read["D2"].value, read["D3"].value, read["A2"].comment.text) == (True, 12.5, "IS THIS SO?")
    assert read.tables["T"].column_names == ["City", "People"]


@pytest.mark.parametrize(
    ("kind", "library", "opener"), [("docx", "docx", "Document"), ("pptx", "pptx", "Presentation")]
)
def test_every_sample_opens(kind: str, library: str, opener: str) -> None:
    module = pytest.importorskip(library)
    for name, data in SAMPLES.items():
        if name.startswith(kind) and "strict" not in name:
            assert getattr(module, opener)(io.BytesIO(shouted(data, kind)))
