"""Documents of Word, each with something in which a reader or a writer can err, by name."""

from __future__ import annotations

from tests.unit.documents.zipped.archives import docx

BOLD = "<w:rPr><w:b/></w:rPr>"
LONG = "Some words of a longer text, with a full stop at its end. "


def run(text: str, properties: str = "") -> str:
    """Return a run of Word."""
    return f'<w:r>{properties}<w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*inside: str) -> str:
    """Return a paragraph of Word."""
    return f'<w:p><w:pPr><w:pStyle w:val="Text"/></w:pPr>{"".join(inside)}</w:p>'


def field(instruction: str, *result: str) -> str:
    """Return a field of Word."""
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {instruction} </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        f'{"".join(result)}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def text_box(text: str) -> str:
    """Return a text box, which Word writes twice."""
    inside = paragraph(run(text))
    return (
        f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx><w:txbxContent>{inside}"
        f"</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>{inside}"
        "</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )


NOTE = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="1"/></w:r>'
BY = 'w:id="9" w:author="Ann" w:date="2020-01-01T00:00:00Z"'

WORD_BODIES = {
    "one run": paragraph(run("A plain sentence.")),
    "split run": paragraph(run("A sen"), run("tence in "), run("pieces.")),
    "proofing": paragraph(
        run("A ", '<w:rPr><w:lang w:val="en-GB"/></w:rPr>'),
        '<w:proofErr w:type="spellStart"/>',
        run("wrod", "<w:rPr><w:noProof/></w:rPr>"),
        '<w:proofErr w:type="spellEnd"/>',
        run(" here."),
    ),
    "bold word": paragraph(run("A "), run("bold", BOLD), run(" word.")),
    "bold in pieces": paragraph(run("A "), run("bo", BOLD), run("ld", BOLD), run(" word.")),
    "all bold": paragraph(run("All of it.", BOLD)),
    "three looks": paragraph(
        run("Bold", BOLD), run(" and "), run("slanted", "<w:rPr><w:i/>"
            "</w:rPr>"), run(" and "), run("bold", BOLD), run(".")
    ),
    "link": paragraph(
        run("See "),
        f'<w:hyperlink r:id="rId1" w:history="1">{run("the page", "<w:rPr><w:u/></w:rPr>")}</w:hyperlink>',
        run(" for more."),
    ),
    "link with a bold word": paragraph(
        run("See "), f'<w:hyperlink r:id="rId1">{run("the ")}{run("page", BOLD)}</w:hyperlink>', run(".")
    ),
    "field link": paragraph(run("See "), field('HYPERLINK "http://example.org"', run("the page")), run(" now.")),
    "page number": paragraph(run("Page "), field("PAGE", run("3")), run(" of the text.")),
    "field with words": paragraph(run("As in "), field("REF _Ref1 \\h", run("Figure one")), run(" above.")),
    "field in a field": paragraph(
        run("If "), field(f"IF {field('PAGE', run('1'))} = 1", run("yes")), run(" then.")
    ),
    "simple field": paragraph(run("On "), f'<w:fldSimple w:instr=" DATE ">{run("May 1")}'
        f'</w:fldSimple>', run(" we met.")),
    "simple link": paragraph(f"<w:fldSimple w:instr=' HYPERLINK \"x\" '>{run('This')}</w:fldSimple>", run(" is it.")),
    "contents": paragraph(
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> TOC </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>',
        f'<w:hyperlink w:anchor="_Toc1">{run("The first part")}<w:r><w:tab/></w:r>{field("PAGEREF _Toc1", run("2"))}'
        "</w:hyperlink>",
    )
    + paragraph(f'<w:hyperlink w:anchor="_Toc2">{run("The second part")}</w:hyperlink>')
    + paragraph('<w:r><w:fldChar w:fldCharType="end"/></w:r>'),
    "tab and break": paragraph(
        "<w:r><w:t>Name:</w:t><w:tab/><w:t>the value</w:t><w:br/><w:t>Second line</w:t></w:r>"
    ),
    "break in a link": paragraph(f'<w:hyperlink r:id="rId1">{run("One")}<w:r><w:br/></w:r>{run("two")}</w:hyperlink>'),
    "page break": paragraph(run("Before."), '<w:r><w:br w:type="page"/></w:r>', run("After.")),
    "hyphens": paragraph("<w:r><w:t>non</w:t><w:noBreakHyphen/><w:t>breaking co</w:t><w:softHyphen/><w:t>op"
        "</w:t></w:r>"),
    "symbol": paragraph(run("A "), '<w:r><w:sym w:font="Wingdings" w:char="F0E0"/></w:r>', run(" symbol.")),
    "bookmark": paragraph(
        run("The "), '<w:bookmarkStart w:id="3" w:name="x"/>', run("marked"), '<w:bookmarkEnd w:id="3"/>', run(" word.")
    ),
    "bookmark around": paragraph('<w:bookmarkStart w:id="3" w:name="x"/>', run("A title"), '<w:bookmarkEnd w:id="3"/>'),
    "bookmark across a link": paragraph(
        run("a "), '<w:bookmarkStart w:id="3" w:name="x"/>', run("b "),
        f'<w:hyperlink r:id="rId1">{run("c ")}<w:bookmarkEnd w:id="3"/>{run("d")}</w:hyperlink>', run(" e"),
    ),
    "two bookmarks that cross": paragraph(
        run("a "), '<w:bookmarkStart w:id="3" w:name="x"/>', run("b "), '<w:bookmarkStart w:id="4" w:name="y"/>',
        run("c "), '<w:bookmarkEnd w:id="3"/>', run("d "), '<w:bookmarkEnd w:id="4"/>', run("e"),
    ),
    "insertion": paragraph(run("We "), f"<w:ins {BY}>{run('really ')}</w:ins>", run("mean it.")),
    "deletion": paragraph(
        run("We "), f"<w:del {BY}><w:r><w:delText>never </w:delText></w:r></w:del>", run("mean it.")
    ),
    "moved text": paragraph(
        f"<w:moveFrom {BY}>{run('old place')}</w:moveFrom>", run("Then "),
        f"<w:moveTo {BY}>{run('old place')}</w:moveTo>"
    ),
    "smart tag": paragraph(run("In "), f'<w:smartTag w:element="City">{run("Paris")}</w:smartTag>', run(" we met.")),
    "content control": paragraph(
        run("Dear "), f'<w:sdt><w:sdtPr><w:tag w:val="n"/></w:sdtPr><w:sdtContent>{run("friend")}'
            f'</w:sdtContent></w:sdt>',
        run(" of ours"),
    ),
    "list to choose from": paragraph(
        run("Say "), f"<w:sdt><w:sdtPr><w:dropDownList/></w:sdtPr><w:sdtContent>{run('Yes')}</w:sdtContent>"
            f"</w:sdt>", run(" now")
    ),
    "formula": paragraph(run("Where "), "<m:oMath><m:r><m:t>E=mc</m:t></m:r></m:oMath>", run(" holds.")),
    "ruby": paragraph(
        run("Read "), "<w:r><w:ruby><w:rubyPr/><w:rt><w:r><w:t>kan</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢"
            "</w:t></w:r>"
        "</w:rubyBase></w:ruby></w:r>", run(" so."),
    ),
    "picture": paragraph(run("A "), "<w:r><w:drawing><wp:inline><wp:docPr id='1' name='P' descr='A cat'/>"
        "</wp:inline></w:drawing></w:r>", run(" picture.")),
    "text box": paragraph(run("Beside "), text_box("In the box."), run(" it.")),
    "text box in bold": paragraph(run("Beside "), run("bold ", BOLD), "<!-- x "
        "-->", text_box("In the box."), run("it.", BOLD)),
    "table": "<w:tbl><w:tr>"
    + "".join(f"<w:tc>{paragraph(run(text))}</w:tc>" for text in ("One cell", "", "12.5", "Another"))
    + f"<w:tc><w:tbl><w:tr><w:tc>{paragraph(run('Inner cell'))}</w:tc></w:tr></w:tbl>{paragraph()}</w:tc>"
        f"</w:tr></w:tbl>",
    "empty": paragraph() + "<w:p/>" + paragraph(run("")) + paragraph(run("  ")),
    "no letters": paragraph(run("12.5 "), run("%", BOLD), run(" — 3")),
    "right to left": f"<w:p><w:pPr><w:bidi/>"
        f"</w:pPr>{run('שלום ', '<w:rPr><w:rtl/></w:rPr>')}{run('עולם', '<w:rPr><w:rtl/><w:b/></w:rPr>')}</w:p>",
    "cdata": paragraph("<w:r><w:t><![CDATA[a < b & c]]></w:t></w:r>", run(" &amp; d &#228;")),
    "comment of XML": paragraph(run("Before"), "<!-- nobody sees this -->", run(" after")) + "<!-- end -->",
    "spaces": paragraph(run("  two  spaces  "), run(" bold ", BOLD), run("  end ")),
    "long": "".join(paragraph(run(LONG), run(LONG, BOLD)) for _ in range(40)),
    "emoji": paragraph(run("Fine 👍🏽 "), run("e\u0301", BOLD), run(" text")),
    "tracked look": paragraph(run("a "), run("b", f"<w:rPr><w:b/><w:rPrChange {BY}><w:rPr/></w:rPrChange>"
        f"</w:rPr>"), run(" c")),
}  # fmt: skip

WORD = {f"docx, {name}": docx(body) for name, body in WORD_BODIES.items()} | {
    "docx, strict": docx(WORD_BODIES["link"], namespace="http://purl.oclc.org/ooxml/wordprocessingml/main"),
    "docx, notes and comments": docx(
        paragraph(run("A sentence"), NOTE, run(" with a note")),
        footnotes=f'<w:footnote w:id="1">{paragraph("<w:r><w:footnoteRef/></w:r>", run(" The note."))}</w:footnote>',
        endnotes=f'<w:endnote w:id="1">{paragraph(run("The end note."))}</w:endnote>',
        comments=f'<w:comment w:id="0" w:author="Ann">{paragraph(run("Really?"))}</w:comment>',
    ),
    "docx, commented words": docx(
        paragraph(
            run("The "), '<w:commentRangeStart w:id="0"/>', run("words", BOLD), '<w:commentRangeEnd w:id="0"/>',
            '<w:r><w:commentReference w:id="0"/></w:r>', run(" here"),
        ),
        comments=f'<w:comment w:id="0" w:author="Ann">{paragraph(run("Really?"))}</w:comment>',
    ),
    "docx, header and footer": docx(
        paragraph(run("The body.")),
        header1=paragraph(run("The header")),
        footer1=paragraph(run("Page "), field("PAGE", run("1"))),
    ),
}  # fmt: skip
