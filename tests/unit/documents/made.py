"""Documents of every kind, made of pieces: each piece has something in which readers and writers err, by name.

``PIECES`` has them by kind and name. ``built`` makes a document of some; ``made`` one of pieces drawn by chance, the
same for ever. A piece of a text stands alone between blank lines; one of an archive is what its body holds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence

from tests.unit.documents.zipped.archives import docx, epub, odf, pptx, xlsx
from tests.unit.documents.zipped.samples import O_NOTE, PAGES, SLIDES, STYLES, a_run, boxed, cell, p, span
from tests.unit.documents.zipped.samples import ODT_BODIES as ODT
from tests.unit.documents.zipped.samples_word import NOTE, WORD_BODIES, paragraph, run

__all__ = ["PIECES", "built", "made"]

RTL = "שלום עולם, مرحبا."
FORMULA = "<math><mi>E</mi><mo>=</mo><mn>2</mn></math>"
HTML = {
    "nested tags": "<p>A <b>bold <i>and <u>deep</u></i></b> word, <a href='x?a=1&amp;b'>a link</a>.</p>",
    "comments": "<p>Before<!-- not seen --> af<!-- nor this -->ter.</p><!-- alone -->",
    "entities": "<p>Caf&eacute; &amp; bar &lt;x&gt; &#x41;&nbsp;!</p>",
    "right to left": f'<p dir="rtl">{RTL} <b>עולם</b></p>',
    "footnotes": '<p>A sentence<sup><a href="#n1">1</a></sup> goes on.</p><ol><li id="n1">The note.</li></ol>',
    "tables": "<table><tr><th>A head</th><td>A cell</td></tr></table>",
    "formulas": f"<p>Where {FORMULA} holds.</p>",
    "empty cells": "<table><tr><td></td><td> </td><td>12</td></tr></table>",
    "not for translation": '<p>Call <code>f(x)</code>, <i translate="no">Ann</i>.</p><pre>x</pre><script>"<b"</script>',
    "attributes": '<p><img alt="A cat" src=x> <input placeholder="A name"><br><wbr></p>',
}
XLIFF = {
    "nested tags": '<source>A <g id="1">bold <g id="2">and deep</g></g> word<x id="3"/>.</source>',
    "comments": "<source>Be<!-- not seen -->fore <?not text?>after.</source><!-- alone -->",
    "entities": "<source>Caf&#233; &amp; bar &lt;b&gt;x&lt;/b&gt; &quot;!</source>",
    "right to left": f"<source>{RTL}</source>",
    "CDATA": "<source><![CDATA[A <b>bold</b> word & more]]></source>",
    "targets": '<source>Done</source><target state="final">Fertig</target><note>A note</note>',
    "codes": '<source>A <bpt id="1">&lt;i&gt;</bpt>word<ept id="1">&lt;/i&gt;</ept> %s <ph id="2">{0}</ph></source>',
    "empty": "<source></source><target/>",
}
PIECES: Mapping[str, Mapping[str, str]] = {
    "txt": {
        "right to left": RTL,
        "tables": "A head\tA cell\t12\n\t\tx",
        "empty cells": "\t\t\n\t \n",
        "entities": "Caf&eacute; <b>x</b> & y",
        "lists": "* One item\r\n  - Another item.\n1. A third one",
        "wrapped": "A line that goes on\nin the next line,   with spaces.",
    },
    "html": HTML,
    "markdown": {
        "nested tags": "A **bold *and `deep`*** word, [a *link*](x 'A title') <b>and <i>HTML</i></b>.",
        "comments": "Before<!-- not seen --> after.\n\n<!-- alone -->",
        "entities": "Caf&eacute; &amp; bar &lt;x&gt; \\* \\_",
        "right to left": RTL,
        "footnotes": "A sentence[^1] goes on.\n\n[^1]: The note.",
        "tables": "| A head | Another |\n|---|:--:|\n| **A** cell | a \\| bar |",
        "formulas": "Where $E = 2$ and $$x^2$$ hold.",
        "empty cells": "| A | |\n|---|---|\n| | 12 |",
        "code": "```sh\nls # not this\n```\n\n    nor this\n\nCall `f(x)` now.",
        "blocks": "> A quotation\n> goes on.\n\n- [ ] One item\n  1. Inside\n\n# A title #\n\n<p>A block</p>\n\n***",
    },
    "po": {
        "nested tags": 'msgid "A <b>bold <i>and deep</i></b> word"\nmsgstr ""',
        "comments": '# By a translator\n#. Extracted\n#: a.c:1\n#, c-format\nmsgid "Open %s now"\nmsgstr ""',
        "entities": 'msgid "Caf&eacute; \\"x\\" \\\\ \\t\\303\\251"\nmsgstr ""',
        "right to left": f'msgid "{RTL}"\nmsgstr ""',
        "plurals": 'msgid "One cat"\nmsgid_plural "%d cats"\nmsgstr[0] ""\nmsgstr[1] ""',
        "context": 'msgctxt "menu"\nmsgid ""\n"Two\\n"\n"lines"\nmsgstr ""',
        "translated": '#, fuzzy\n#| msgid "Old"\nmsgid "Guess"\nmsgstr "Rate"\n\n#~ msgid "Gone"\n#~ msgstr "Weg"',
    },
    "xliff": XLIFF,
    "srt": {
        "nested tags": "<i>A <b>bold</b></i> {\\an8}word",
        "right to left": RTL,
        "lines": "A first line\nand a second one",
        "turns": "- Who?\n- MR. X: Me.",
        "entities": "Tom & me &amp; <3",
        "empty": "12",
    },
    "vtt": {
        "nested tags": "<v Bob>A <c.red>bold <i>word</i></c></v> here",
        "right to left": RTL,
        "lines": "A first line\nand a second one",
        "turns": "- Who?\n- Me.",
        "entities": "Tom &amp; me &lt;3 &nbsp;!",
        "times": "A <00:00:01.500>word <00:00:01.700>here",
    },
    "json": {
        "nested tags": '{"a": "A <b>bold <i>and deep</i></b> word"}',
        "entities": '{"a": "Caf\\u00e9 \\"x\\" &amp; \\ud83d\\ude00\\n"}',
        "right to left": json.dumps({"a": RTL}, ensure_ascii=False),
        "tables": '[["A head", "A cell"], ["", null, 12, true]]',
        "empty cells": '["", " ", null, {}, []]',
        "placeholders": '{"a": "Hi {{name}}, %s and {x}", "n": "{n, plural, one {a cat} other {# cats}}"}',
        "not for translation": '{"@a": {"b": "note"}, "u": "https://a.b", "c": "#fff", "k": "a_b"}',
    },
    "yaml": {
        "nested tags": "'A <b>bold <i>and deep</i></b> word'",
        "comments": "  # above\n  A word  # beside",
        "entities": '"Caf\\u00e9 \\"x\\" \\t"',
        "right to left": RTL.replace(",", ""),
        "tables": "\n  - [A head, A cell]\n  - ['', ~, 12, yes]",
        "empty cells": "{a: '', b: , c: ~}",
        "blocks": "|\n  First line\n\n  Second\n    line\n",
        "folded": ">-\n  One text\n  in two lines\n",
        "anchors": "&{} Hello",
        "placeholders": '"Hi %{{name}}, {{{{x}}}}"',
    },
    "docx": WORD_BODIES | {
        "footnotes": paragraph(run("A sentence"), NOTE, run(" with a note")),
        "tables": WORD_BODIES["table"],
        "formulas": WORD_BODIES["formula"],
        "comments": WORD_BODIES["comment of XML"],
        "CDATA": WORD_BODIES["cdata"],
        "entities": paragraph(run("Caf&#233; &amp; bar &lt;x&gt;")),
        "nested tags": WORD_BODIES["link with a bold word"],
        "empty cells": f"<w:tbl><w:tr><w:tc>{paragraph()}</w:tc><w:tc>{paragraph(run(' '))}</w:tc></w:tr></w:tbl>",
    },
    "pptx": SLIDES | {
        "comments": boxed(a_run("Be<!-- not seen -->fore"), "<!-- alone -->", a_run(" after")),
        "CDATA": boxed(a_run("<![CDATA[a < b & c]]>")),
        "entities": boxed(a_run("Caf&#233; &amp; bar &lt;x&gt;")),
        "tables": SLIDES["table"],
        "nested tags": SLIDES["link"],
        "empty cells": SLIDES["empty"],
        "formulas": boxed(a_run("Where "), '<a14:m xmlns:a14="urn:a14"><m>E=2</m></a14:m>', a_run(" holds")),
    },
    "xlsx": {
        "nested tags": "<si><r><rPr><b/></rPr><t>Bold</t></r><r><t xml:space='preserve'> and not</t></r></si>",
        "comments": "<si><!-- alone --><t>Be<!-- not seen -->fore after</t></si>",
        "entities": "<si><t>Caf&#233; &amp; bar_x000D_\n&lt;x&gt;</t></si>",
        "right to left": f"<si><t>{RTL}</t></si>",
        "CDATA": "<si><t><![CDATA[a < b & c]]></t></si>",
        "tables": "<si><t>City</t></si><si><t>A village</t></si>",
        "empty cells": "<si><t/></si><si><t> </t></si><si/>",
        "formulas": "<si><t>A cell</t></si>",
        "numbers": "<si><t>12.5</t></si>",
        "phonetic": "<si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh></si>",
    },
    "odt": ODT | {
        "nested tags": ODT["nested"],
        "comments": ODT["comment of XML"],
        "entities": p("Caf&#233; &amp; bar &lt;x&gt;"),
        "CDATA": ODT["cdata"],
        "footnotes": p(f"A sentence{O_NOTE} with a note."),
        "tables": ODT["table"],
        "formulas": p("Where <draw:frame><draw:object xlink:href='./Object 1'/></draw:frame> holds."),
        "empty cells": f"<table:table><table:table-row><table:table-cell/>{cell(' ')}</table:table-row></table:table>",
    },
    "epub": PAGES | {
        "nested tags": PAGES["nested"],
        "comments": PAGES["comment of XML"],
        "CDATA": PAGES["cdata"],
        "footnotes": PAGES["note"],
        "tables": PAGES["table"],
        "formulas": f"<p>Where {FORMULA} holds.</p>",
        "empty cells": "<table><tr><td/><td> </td><td>12</td></tr></table>",
    },
}  # fmt: skip
SHEET = {
    "nested tags": cell(f"A {span('bold')} cell"),
    "comments": cell("Be<!-- not seen -->fore after"),
    "entities": cell("Caf&#233; &amp; bar &lt;x&gt;"),
    "right to left": cell(RTL),
    "CDATA": cell("<![CDATA[a < b & c]]>"),
    "tables": cell("A head") + cell("12", 'office:value-type="float" office:value="12"'),
    "formulas": cell("A result", 'office:value-type="string" table:formula="of:=[.A1]"'),
    "empty cells": "<table:table-cell/>" + cell(""),
}
PIECES = {**PIECES, "ods": SHEET, "odp": {name: body for name, body in PIECES["odt"].items() if name != "tracked"}}


def _rows(strings: str) -> str:
    count = strings.count("<si>") + strings.count("<si/>")
    shown = "".join(f"<c r='A{at}' t='s'><v>{at}</v></c>" for at in range(count))
    return f"<row r='1'>{shown}<c r='B1'><f>SUM(A1:A2)</f><v>3</v></c><c r='C1' s='1'/></row>"


def _cues(pieces: Sequence[str], comma: str) -> str:
    times = [f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}{comma}" for at in range(len(pieces))]
    cues = zip(times, pieces, strict=True)
    return "\n\n".join(f"{at}\n{time}000 --> {time}900\n{one}" for at, (time, one) in enumerate(cues, 1))


def _units(pieces: Sequence[str]) -> str:
    units = "".join(f'<trans-unit id="{at}">{one}</trans-unit>\n' for at, one in enumerate(pieces))
    return (
        f'<?xml version="1.0"?>\n<xliff version="1.2"><file source-language="en"><body>\n{units}</body></file></xliff>'
    )


_NOTE = f'<w:footnote w:id="1">{paragraph(run("The note."))}</w:footnote>'
_PO = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
_JOINED: Mapping[str, Callable[[Sequence[str]], str | bytes]] = {
    "txt": "\n\n".join,
    "html": lambda pieces: f"<!DOCTYPE html><html><body>\n{chr(10).join(pieces)}\n</body></html>\n",
    "markdown": "\n\n".join,
    "po": lambda pieces: _PO + "\n\n".join(one.replace('msgid "', f'msgid "{at} ', 1) for at, one in enumerate(pieces)),
    "xliff": _units,
    "srt": lambda pieces: _cues(pieces, ","),
    "vtt": lambda pieces: f"WEBVTT\n\nNOTE x\n\n{_cues(pieces, '.')}\n",
    "json": lambda pieces: "{" + ",\n ".join(f'"k{at}": {one}' for at, one in enumerate(pieces)) + "}",
    "yaml": lambda pieces: "\n".join(f"k{at}: {one.replace('&{}', f'&a{at}')}" for at, one in enumerate(pieces)) + "\n",
    "docx": lambda pieces: docx("".join(pieces), footnotes=_NOTE),
    "pptx": lambda pieces: pptx(*pieces),
    "xlsx": lambda pieces: xlsx("".join(pieces), _rows("".join(pieces))),
    "odt": lambda pieces: odf("text", "".join(pieces), styles=STYLES),
    "ods": lambda pieces: odf(
        "spreadsheet",
        f"<table:table><table:table-row>{'</table:table-row><table:table-row>'.join(pieces)}</table:table-row></table:table>",
        styles=STYLES,
    ),
    "odp": lambda pieces: odf(
        "presentation", "".join(f"<draw:page>{one}</draw:page>" for one in pieces), styles=STYLES
    ),
    "epub": lambda pieces: epub(*pieces),
}  # fmt: skip


def built(kind: str, pieces: Sequence[str]) -> bytes:
    """Return a document of a kind from what its pieces are."""
    joined = _JOINED[kind](pieces)
    return joined if isinstance(joined, bytes) else joined.encode()


def made(kind: str, number: int) -> bytes:
    """Return a document of up to twelve pieces."""
    chance = random.Random(f"{kind} {number}")
    every = sorted(PIECES[kind])
    return built(kind, [PIECES[kind][chance.choice(every)] for _ in range(chance.randrange(1, 13))])
