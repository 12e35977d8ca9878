"""A hundred documents, each with something in which a reader or a writer can err, by name."""

from __future__ import annotations

from tests.unit.documents.zipped.archives import OFFICE, A, S, epub, odf, pptx, shape, xlsx
from tests.unit.documents.zipped.samples_word import LONG, WORD


def boxed(*inside: str) -> str:
    """Return a box with one paragraph of DrawingML."""
    return shape(f'<a:p><a:pPr lvl="1"/>{"".join(inside)}<a:endParaRPr lang="en-US"/></a:p>')


def a_run(text: str, properties: str = '<a:rPr lang="en-US"/>') -> str:
    """Return a run of DrawingML."""
    return f"<a:r>{properties}<a:t>{text}</a:t></a:r>"


A_BOLD = '<a:rPr lang="en-US" b="1"/>'
A_LINK = '<a:rPr><a:hlinkClick r:id="rId1"/></a:rPr>'
CELL = "<a:tc><a:txBody><a:bodyPr/><a:p>{}</a:p></a:txBody></a:tc>"
DIAGRAM = (
    f'<dgm:dataModel xmlns:dgm="urn:d" xmlns:a="{A}"><dgm:t><a:p><a:r><a:t>A step</a:t></a:r></a:p>'
    f"</dgm:t></dgm:dataModel>"
)

SLIDES = {
    "one run": boxed(a_run("A title")),
    "split run": boxed(a_run("A ti", '<a:rPr lang="en-US" dirty="0"/>'), a_run("tle", '<a:rPr lang="en-GB" err="1"/>')),
    "bold word": boxed(a_run("A "), a_run("bold", A_BOLD), a_run(" word")),
    "link": boxed(a_run("See "), a_run("this page", A_LINK), a_run(" now")),
    "break": boxed(a_run("First line"), "<a:br/>", a_run("second line")),
    "slide number": boxed(a_run("Slide "), '<a:fld id="{1}" type="slidenum"><a:t>3</a:t></a:fld>', a_run(" of it")),
    "date": boxed(a_run("On "), '<a:fld id="{1}" type="datetime1"><a:t>May 1</a:t></a:fld>', a_run(" we met")),
    "table": f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>{CELL.format(a_run('A cell'))}{CELL.format('')}"
    f"{CELL.format(a_run('7'))}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>",
    "empty": boxed() + boxed(a_run("")) + boxed(a_run(" ")),
    "right to left": shape(f'<a:p><a:pPr rtl="1"/>{a_run("שלום עולם")}</a:p>'),
    "colour": boxed(a_run("A "), a_run("red", '<a:rPr><a:solidFill><a:srgbClr val="FF0000"/></a:solidFill>'
        '</a:rPr>'), a_run(" word")),
    "pictures": "".join(
        f"<p:pic><p:nvPicPr><p:cNvPr id='{at}' name='P' descr='{text}'/></p:nvPicPr></p:pic>"
        for at, text in enumerate(("A cat", "cat.png"))
    ),
    "two boxes": boxed(a_run("One box")) + boxed(a_run("Another box")),
}  # fmt: skip

PRESENTATIONS = {f"pptx, {name}": pptx(inside) for name, inside in SLIDES.items()} | {
    "pptx, notes": pptx(boxed(a_run("A title")), notes=boxed(a_run("Say this slowly"))),
    "pptx, three slides": pptx(*(boxed(a_run(f"Slide {word}")) for word in ("one", "two", "three"))),
    "pptx, layout": pptx(
        boxed(a_run("A title")),
        layout=shape(f"<a:p>{a_run('Click to edit')}</a:p>", placeholder='<p:ph type="title"/>')
        + boxed(a_run("The name of the firm")),
    ),
    "pptx, diagram and chart": pptx(
        boxed(a_run("A title")),
        more={
            "ppt/diagrams/data1.xml": (f"{OFFICE}drawingml.diagramData+xml", DIAGRAM),
            "ppt/charts/chart1.xml": (f"{OFFICE}drawingml.chart+xml", f'<c xmlns:a="{A}">'
                f'<a:p>{a_run("Sales")}</a:p></c>'),
        },
    ),
    "pptx, comments": pptx(
        boxed(a_run("A title")),
        more={
            "ppt/comments/comment1.xml": (
                f"{OFFICE}presentationml.comments+xml",
                '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"><p:cm authorId="0">'
                "<p:text>Is this so?</p:text></p:cm></p:cmLst>",
            )
        },
    ),
}  # fmt: skip


def cells(*strings: int) -> str:
    """Return a row of cells with shared strings."""
    return (
        "<row r='1'>"
        + "".join(f"<c r='{chr(65 + at)}1' t='s'><v>{one}</v></c>" for at, one in enumerate(strings))
        + "</row>"
    )


S_BOLD = "<rPr><b/></rPr>"
TABLE = (
    f'<table xmlns="{S}" id="1" name="T" displayName="T" ref="A1:B2"><tableColumns count="2">'
    f'<tableColumn id="1" name="City"/><tableColumn id="2" name="Number of_x000a_people"/></tableColumns></table>'
)
COMMENT = (
    f'<comments xmlns="{S}"><authors><author>Ann</author></authors><commentList><comment ref="B2" '
    f'authorId="0"><text><r>{S_BOLD}<t>Ann:</t></r><r><t xml:space="preserve"> Is this so?</t></r></text>'
    "</comment></commentList></comments>"
)

SHEETS = {
    "plain": ("<si><t>A cell</t></si><si><t>Another cell</t></si>", cells(0, 1, 0)),
    "rich": (f"<si><r>{S_BOLD}<t>Bold</t></r><r><t xml:space='preserve'> and not</t></r></si>", cells(0)),
    "rich in pieces": (f"<si><r>{S_BOLD}<t>Bo</t></r><r>{S_BOLD}<t>ld</t></r></si>", cells(0)),
    "three looks": (f"<si><r><t>a </t></r><r>{S_BOLD}<t>b</t></r><r><rPr><i/></rPr><t> c</t></r></si>", cells(0)),
    "phonetic": ("<si><t>東京の店</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh><phoneticPr fontId='1'/>"
        "</si>", cells(0)),
    "formulas": (
        "<si><t>A cell</t></si>",
        "<row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='str'><f>A1&amp;\" more\"</f><v>A cell more</v></c>"
        "<c r='C1'><f>SUM(D1:D9)</f><v>3</v></c><c r='D1'><v>3</v></c><c r='E1' t='b'><v>1</v></c><c r='F1' "
            "s='2'/></row>",
    ),
    "inline": ("", "<row r='1'><c r='A1' t='inlineStr'><is><t>An inline text</t></is></c><c r='B1'><v>2</v></c></row>"),
    "inline rich": ("", f"<row r='1'><c r='A1' t='inlineStr'><is><r><t>An </t></r><r>{S_BOLD}<t>inline</t>"
        f"</r></is></c></row>"),
    "numbers as text": ("<si><t>12.5</t></si><si><t/></si><si><t> </t></si><si/>", cells(0, 1, 2, 3)),
    "lines": ("<si><t>First line\nSecond line</t></si>", cells(0)),
    "escapes": ("<si><t>First_x000D_\nSecond</t></si>", cells(0)),
    "spaces": ("<si><t xml:space='preserve'>  around  </t></si>", cells(0)),
    "cdata": ("<si><t><![CDATA[a < b & c]]></t></si>", cells(0)),
    "right to left": ("<si><t>שלום עולם</t></si>", cells(0)),
    "many": ("".join(f"<si><t>Row number {number} of the sheet</t></si>" for number in range(300)), cells(*range(9))),
}  # fmt: skip

WORKBOOKS = {f"xlsx, {name}": xlsx(*parts) for name, parts in SHEETS.items()} | {
    "xlsx, table": xlsx(
        "<si><t>City</t></si><si><t>Number of\npeople</t></si><si><t>A village</t></si>",
        cells(0, 1, 2),
        more={"xl/tables/table1.xml": (f"{OFFICE}spreadsheetml.table+xml", TABLE)},
    ),
    "xlsx, comment": xlsx(
        "<si><t>A cell</t></si>", cells(0), more={"xl/comments1.xml": (f"{OFFICE}spreadsheetml.comments+xml", COMMENT)}
    ),
    "xlsx, text box": xlsx(
        "<si><t>A cell</t></si>",
        cells(0),
        more={
            "xl/drawings/drawing1.xml": (
                f"{OFFICE}drawing+xml",
                f'<xdr:wsDr xmlns:xdr="urn:x" xmlns:a="{A}"><xdr:txBody><a:p>{a_run("In the box")}</a:p>'
                    f'</xdr:txBody></xdr:wsDr>',
            )
        },
    ),
    "xlsx, print header": xlsx("<si><t>A cell</t></si>", cells(0), after="<headerFooter><oddHeader>&amp;CA "
        "title</oddHeader></headerFooter>"),
    "xlsx, thread": xlsx(
        "<si><t>A cell</t></si>",
        cells(0),
        more={
            "xl/threadedComments/threadedComment1.xml": (
                "application/vnd.ms-excel.threadedcomments+xml",
                '<ThreadedComments xmlns="urn:t"><threadedComment ref="A1"><text>Is it?</text></threadedComment>'
                '<threadedComment ref="A2"><text>@Ann yes</text><mentions><mention startIndex="0"/></mentions>'
                "</threadedComment></ThreadedComments>",
            )
        },
    ),
}  # fmt: skip


def p(inside: str) -> str:
    """Return a paragraph of OpenDocument."""
    return f'<text:p text:style-name="P1">{inside}</text:p>'


def span(text: str, style: str = "T1") -> str:
    """Return a span."""
    return f'<text:span text:style-name="{style}">{text}</text:span>'


STYLES = (
    '<style:style style:name="T1" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
    '<style:style style:name="T2" style:family="text"><style:text-properties officeooo:rsid="00012ab3"/></style:style>'
    '<style:style style:name="T3" style:family="text"><style:text-properties fo:font-style="italic"/></style:style>'
)
O_NOTE = (
    '<text:note text:id="ftn1" text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body>'
    f"{p('The note.')}</text:note-body></text:note>"
)
REMARK = (
    f"<office:annotation><dc:creator>Ann</dc:creator><dc:date>2020-01-01</dc:date>{p('Really?')}</office:annotation>"
)

ODT_BODIES = {
    "plain": p("A plain sentence."),
    "heading": '<text:h text:outline-level="1">A heading</text:h>',
    "bold word": p(f"A {span('bold')} word."),
    "revisions": p(f"A {span('sen', 'T2')}{span('tence', 'T2')} in pieces."),
    "neighbours": p(f"A {span('bo')}{span('ld')} word."),
    "nested": p(f"A {span('bold ' + span('and slanted', 'T3'))} word."),
    "all bold": p(span("All of it.")),
    "link": p(f'See <text:a xlink:type="simple" xlink:href="http://example.org/">the {span("page")}</text:a> now.'),
    "note": p(f"A sentence{O_NOTE} with a note."),
    "annotation": p(f"A sentence{REMARK} with a remark."),
    "tab and break": p("Name:<text:tab/>the value<text:line-break/>second line"),
    "break in a span": p(span("First line<text:line-break/>second line") + " more"),
    "field": p('Page <text:page-number text:select-page="current">3</text:page-number> of the text.'),
    "bookmark": p('The <text:bookmark-start text:name="x"/>marked<text:bookmark-end text:name="x"/> word.'),
    "list": f"<text:list><text:list-item>{p('One item')}</text:list-item><text:list-item>{p('Another item')}"
        f"</text:list-item></text:list>",
    "table": f'<table:table table:name="T"><table:table-row><table:table-cell office:value-type="string">{p("A cell")}'
    f'</table:table-cell><table:table-cell office:value-type="float" office:value="3">{p("3 pieces")}'
        f'</table:table-cell>'
    "<table:table-cell/></table:table-row></table:table>",
    "frame": p(f'Beside <draw:frame draw:name="F"><draw:text-box>{p("In the box.")}</draw:text-box></draw:frame> it.'),
    "picture": p("A <draw:frame><draw:image/><svg:title>A cat</svg:title></draw:frame> here"),
    "ruby": p("Read <text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text>"
        "</text:ruby> so."),
    "tracked": f'<text:tracked-changes><text:changed-region text:id="c1">'
        f'<text:deletion>{p("Deleted words.")}</text:deletion>'
    f'</text:changed-region>'
        f'</text:tracked-changes>{p("We <text:change text:change-id=" + chr(34) + "c1" + chr(34) + "/>mean it.")}',
    "right to left": p(f"שלום {span('עולם')}"),
    "cdata": p("<![CDATA[a < b & c]]> &amp; d"),
    "comment of XML": p("Before<!-- nobody sees this --> after"),
    "spaces": p('A<text:s text:c="3"/>wide gap'),
    "empty": p("") + "<text:p/>" + p(" ") + p(span("")),
    "soft page break": p("Before <text:soft-page-break/>after."),
    "long": "".join(p(LONG + span(LONG)) for _ in range(40)),
}  # fmt: skip


def cell(text: str, attributes: str = 'office:value-type="string"') -> str:
    """Return a cell of a spreadsheet."""
    return f"<table:table-cell {attributes}>{p(text)}</table:table-cell>"


OPEN = {f"odt, {name}": odf("text", body, styles=STYLES) for name, body in ODT_BODIES.items()} | {
    "ods, cells": odf(
        "spreadsheet",
        '<table:table table:name="Data"><table:table-row>'
        + cell("A cell")
        + cell("A value", 'office:value-type="string" office:string-value="A value"')
        + cell("12.50 EUR", 'office:value-type="currency" office:value="12.5"')
        + cell("A result", 'office:value-type="string" table:formula="of:=[.A1]"')
        + cell(f"A {span('bold')} cell")
        + "</table:table-row></table:table>",
        styles=STYLES,
    ),
    "ods, remark": odf("spreadsheet", f'<table:table><table:table-row><table:table-cell '
        f'office:value-type="float" office:value="1">{REMARK}{p("1")}</table:table-cell></table:table-row>'
            f'</table:table>'),
    "odp, slide": odf(
        "presentation",
        f"<draw:page draw:name='p1'><draw:frame><draw:text-box>{p('A title')}</draw:text-box></draw:frame>"
        f"<presentation:notes><draw:frame><draw:text-box>{p('Say this slowly')}</draw:text-box></draw:frame>"
            f"</presentation:notes></draw:page>",
    ),
    "odt, embedded": odf("text", p("A chart follows."), more={"Object 1/content.xml": "<a/>"}),
}  # fmt: skip

FONT = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:EncryptedData><enc:EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/>'
    "</enc:EncryptedData></encryption>"
)
PAGES = {
    "one page": "<h1>A title</h1><p>A plain sentence.</p>",
    "nested": "<p>A <b>bold <i>and slanted</i></b> word, <a href='x'>a link</a>.</p>",
    "note": "<p>A sentence<a epub:type='noteref' href='#n1'>1</a> with a note.</p><aside id='n1'><p>The "
    "note.</p></aside>",
    "breaks": "<p>First line<br/>second line</p><hr/><p/>",
    "picture": "<p>A <img src='../1.png' alt='A cat'/> here</p>",
    "entities": "<p>Caf&#233; &amp; bar &lt;x&gt;</p>",
    "cdata": "<p><![CDATA[a < b & c]]> d</p>",
    "comment of XML": "<p>Before<!-- nobody sees this --> after</p>",
    "table": "<table><tr><td>A cell</td><td/><td>12</td></tr></table>",
    "ruby": "<p>Read <ruby>漢<rt>kan</rt></ruby> so.</p>",
    "right to left": "<p dir='rtl'>שלום <b>עולם</b></p>",
    "code": "<pre>x = 1</pre><p>Call <code>f(x)</code> now.</p><script>var a = 'b';</script>",
}
BOOKS = {f"epub, {name}": epub(page) for name, page in PAGES.items()} | {
    "epub, three pages": epub("<p>One page</p>", "<p>Another page</p>", "<p>The last page</p>"),
    "epub, hidden font": epub("<p>A page</p>", more={"META-INF/encryption.xml": FONT, "My book/a.ttf": b"\1\2"}),
}

SAMPLES: dict[str, bytes] = WORD | PRESENTATIONS | WORKBOOKS | OPEN | BOOKS
