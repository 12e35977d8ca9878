"""Small documents of every zipped format, written by hand: nothing here comes from another program's files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

DATE = (2019, 7, 3, 11, 22, 34)

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "application/vnd.openxmlformats-officedocument."
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
ODF = "urn:oasis:names:tc:opendocument:xmlns:"
PICTURE = bytes(range(256)) * 3


def zipped(members: Mapping[str, str | bytes], *, stored: tuple[str, ...] = ()) -> bytes:
    """Return an archive with members in their order; dates, rights and comments are not the default ones."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.comment = b"a comment"
        for name, data in members.items():
            info = zipfile.ZipInfo(name, DATE)
            info.external_attr = 0o640 << 16
            method = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compress_type=method)
    return sink.getvalue()


def members_of(data: bytes) -> dict[str, bytes]:
    """Return the members of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def contents(types: Mapping[str, str]) -> str:
    """Return the list of contents of a document of Microsoft Office."""
    overrides = "".join(f'<Override PartName="/{part}" ContentType="{type_}"/>' for part, type_ in types.items())
    return (
        f'{DECLARATION}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/>'
        f"{overrides}</Types>"
    )


def relations(*targets: tuple[str, str]) -> str:
    """Return relations rId1, rId2 ... to targets, each of a type and a path; an address is external."""
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{R}/{type_}" Target="{target}" TargetMode="{_mode(target)}"/>'
        for number, (type_, target) in enumerate(targets, 1)
    )
    return f'{DECLARATION}<Relationships xmlns="{RELATIONS}">{rows}</Relationships>'


def _mode(target: str) -> str:
    return "External" if "://" in target else "Internal"


def docx(body: str, *, namespace: str = W, **parts: str) -> bytes:
    """Return a Word document; ``parts`` are the insides of footnotes, endnotes, comments, header1 or footer1."""
    spaces = (
        f'xmlns:w="{namespace}" xmlns:r="{R}" xmlns:a="{A}" xmlns:v="urn:schemas-microsoft-com:vml" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
        'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
        'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    )
    roots = {"header1": ("hdr", "header"), "footer1": ("ftr", "footer")}
    kinds = {name: roots.get(name, (name, name)) for name in parts}
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": contents(
            {
                "word/document.xml": f"{OFFICE}wordprocessingml.document.main+xml",
                **{f"word/{name}.xml": f"{OFFICE}wordprocessingml.{kind}+xml" for name, (_, kind) in kinds.items()},
            }
        ),
        "_rels/.rels": relations(("officeDocument", "word/document.xml")),
        "word/document.xml": f"{DECLARATION}<w:document {spaces}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(
            ("hyperlink", "http://example.org/"), *((kind, f"{name}.xml") for name, (_, kind) in kinds.items())
        ),
        "word/media/image1.png": PICTURE,
    }
    for name, (root, _) in kinds.items():
        members[f"word/{name}.xml"] = f"{DECLARATION}<w:{root} {spaces}>{parts[name]}</w:{root}>"
    return zipped(members)


def pptx(*slides: str, notes: str = "", layout: str = "", more: Mapping[str, tuple[str, str]] | None = None) -> bytes:
    """Return a presentation; ``more`` are parts with their types, by path."""
    spaces = f'xmlns:a="{A}" xmlns:p="{P}" xmlns:r="{R}"'
    shapes = (
        "<p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id='1' name=''/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>"
        "{}</p:spTree></p:cSld>"
    )
    parts = {
        f"ppt/slides/slide{number}.xml": (f"{OFFICE}presentationml.slide+xml", "sld", slide)
        for number, slide in enumerate(slides, 1)
    }
    if notes:
        parts["ppt/notesSlides/notesSlide1.xml"] = (f"{OFFICE}presentationml.notesSlide+xml", "notes", notes)
    if layout:
        parts["ppt/slideLayouts/slideLayout1.xml"] = (f"{OFFICE}presentationml.slideLayout+xml", "sldLayout", layout)
    types = {name: type_ for name, (type_, _, _) in parts.items()} | {
        name: type_ for name, (type_, _) in (more or {}).items()
    }
    ids = "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in range(1, len(slides) + 1))
    return zipped(
        {
            "[Content_Types].xml": contents(
                {"ppt/presentation.xml": f"{OFFICE}presentationml.presentation.main+xml", **types}
            ),
            "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"{DECLARATION}<p:presentation {spaces}><p:sldIdLst>{ids}</p:sldIdLst>"
            '<p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>',
            "ppt/_rels/presentation.xml.rels": relations(
                *(("slide", f"slides/slide{number}.xml") for number in range(1, len(slides) + 1))
            ),
            **{
                name: f"{DECLARATION}<p:{root} {spaces}>{shapes.format(inside)}</p:{root}>"
                for name, (_, root, inside) in parts.items()
            },
            **{name: inside for name, (_, inside) in (more or {}).items()},
            "ppt/media/image1.png": PICTURE,
        }
    )


def shape(paragraphs: str, *, placeholder: str = "") -> str:
    """Return a text box of a slide."""
    return (
        f"<p:sp><p:nvSpPr><p:cNvPr id='2' name='Box'/><p:cNvSpPr/><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:spPr/>"
        f"<p:txBody><a:bodyPr/><a:lstStyle/>{paragraphs}</p:txBody></p:sp>"
    )


def xlsx(strings: str, rows: str, *, more: Mapping[str, tuple[str, str]] | None = None, after: str = "") -> bytes:
    """Return a workbook of one sheet: the items of its shared strings, its rows, and other parts with types, by path.

    ``after`` follows the rows in the sheet.
    """
    others = more or {}
    return zipped(
        {
            "[Content_Types].xml": contents(
                {
                    "xl/workbook.xml": f"{OFFICE}spreadsheetml.sheet.main+xml",
                    "xl/worksheets/sheet1.xml": f"{OFFICE}spreadsheetml.worksheet+xml",
                    "xl/sharedStrings.xml": f"{OFFICE}spreadsheetml.sharedStrings+xml",
                    **{name: type_ for name, (type_, _) in others.items() if type_},
                }
            ),
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'{DECLARATION}<workbook xmlns="{S}" xmlns:r="{R}"><sheets>'
            '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                ("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")
            ),
            "xl/worksheets/sheet1.xml": f'{DECLARATION}<worksheet xmlns="{S}" xmlns:r="{R}"><sheetData>{rows}'
            f"</sheetData>{after}</worksheet>",
            "xl/sharedStrings.xml": f'{DECLARATION}<sst xmlns="{S}">{strings}</sst>',
            **{name: inside for name, (_, inside) in others.items()},
            "xl/media/image1.png": PICTURE,
        }
    )


def odf(kind: str, body: str, *, styles: str = "", more: Mapping[str, str | bytes] | None = None) -> bytes:
    """Return an OpenDocument file of a kind (text, spreadsheet, presentation); ``styles`` are automatic ones."""
    names = ("office", "text", "table", "style", "draw", "presentation", "fo")
    spaces = " ".join(f'xmlns:{name}="{ODF}{"xsl-fo-compatible" if name == "fo" else name}:1.0"' for name in names)
    spaces += (
        f' xmlns:svg="{ODF}svg-compatible:1.0"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:officeooo="http://openoffice.org/2009/office"'
    )
    header = "<style:header><text:p>A header of the page</text:p></style:header>"
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f'{DECLARATION}<office:document-content {spaces} office:version="1.3">'
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
            "styles.xml": f'{DECLARATION}<office:document-styles {spaces} office:version="1.3"><office:master-styles>'
            f'<style:master-page style:name="Standard">{header}</style:master-page></office:master-styles>'
            "</office:document-styles>",
            "meta.xml": f'{DECLARATION}<office:document-meta {spaces} office:version="1.3"/>',
            "Pictures/1.png": PICTURE,
            "META-INF/manifest.xml": f'{DECLARATION}<manifest:manifest xmlns:manifest="{ODF}manifest:1.0" '
            f'manifest:version="1.3"><manifest:file-entry manifest:full-path="/" '
            f'manifest:media-type="application/vnd.oasis.opendocument.{kind}"/><manifest:file-entry '
            'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>',
            **(more or {}),
        },
        stored=("mimetype",),
    )


def epub(*pages: str, more: Mapping[str, str | bytes] | None = None, contents: str = "The first part") -> bytes:
    """Return a book in a folder whose name has a space; ``contents`` is a line of its two tables of contents."""
    items = "".join(
        f'<item id="p{number}" href="text/page%20{number}.xhtml" media-type="application/xhtml+xml"/>'
        for number in range(1, len(pages) + 1)
    )
    spine = "".join(f'<itemref idref="p{number}"/>' for number in range(1, len(pages) + 1))
    xhtml = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{DECLARATION}<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="My '
            'book/package.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "My book/package.opf": f'{DECLARATION}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">x'
            "</dc:identifier><dc:title>A book</dc:title><dc:language>en</dc:language></metadata><manifest>"
            f'<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/><item id="nav" href="nav.xhtml" '
            f'media-type="application/xhtml+xml" properties="nav"/>{items}<item id="i" href="1.svg" '
            f'media-type="image/svg+xml"/></manifest><spine toc="ncx">{spine}</spine></package>',
            "My book/toc.ncx": f'{DECLARATION}<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "ncx-2005-1.dtd">\n'
            '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><head><meta name="dtb:uid" '
            'content="x"/>'
            "</head><docTitle><text>A book</text></docTitle><docAuthor><text>Ann Smith</text></docAuthor><navMap>"
            f'<navPoint id="n1"><navLabel><text>{contents}</text></navLabel><content src="text/page%201.xhtml"/>'
            "</navPoint></navMap></ncx>",
            "My book/nav.xhtml": f'{xhtml}<head><title>Contents</title></head><body><nav epub:type="toc"><ol><li>'
            f'<a href="text/page%201.xhtml">{contents}</a></li></ol></nav></body></html>',
            "My book/1.svg": "<svg xmlns='http://www.w3.org/2000/svg'><text>Drawn</text></svg>",
            **{
                f"My book/text/page {number}.xhtml": f"{DECLARATION}<!DOCTYPE html>\n{xhtml}<head><title>A page</title>"
                f"</head><body>{page}</body></html>"
                for number, page in enumerate(pages, 1)
            },
            "My book/1.png": PICTURE,
            **(more or {}),
        },
        stored=("mimetype",),
    )
