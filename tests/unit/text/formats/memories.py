"""Write memories and localisation files for tests, with all that real ones have in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

USER = "ANNA.SECRET"
DATE = "20200131T235959Z"

__all__ = ["DATE", "USER", "po", "tmx", "tu", "write", "xliff_1", "xliff_2"]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def tu(*variants: tuple[str, str], document: str = "", attribute: str = "xml:lang") -> str:
    """Return a unit; the texts are XML."""
    inside = "".join(f'<tuv {attribute}="{code}" changeid="{USER}"><seg>{text}</seg></tuv>' for code, text in variants)
    prop = f'<prop type="x-document">{escape(document)}</prop>' if document else ""
    return f'<tu creationid="{USER}" creationdate="{DATE}" tuid="7">{prop}<note>{USER}</note>{inside}</tu>'


def tmx(units: Sequence[str], *, doctype: str = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">', encoding: str = "utf-8") -> str:
    head = f'<header creationtool="T" srclang="de" creationid="{USER}"><note>&lt;tu&gt;</note></header>'
    first = f'<?xml version="1.0" encoding="{encoding}"?>\n{doctype}\n<tmx version="1.4">{head}<body>'
    return "\n".join((first, *units, "</body></tmx>\n"))


def xliff_1(units: Sequence[str], *, source: str = "de", target: str = "en-GB", original: str = "a.docx") -> str:
    return (
        '<?xml version="1.0"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2" '
        f'xmlns:sdl="urn:sdl"><file original="{original}" source-language="{source}" target-language="{target}" '
        f'datatype="plaintext"><header/><body>{"".join(units)}</body></file></xliff>'
    )


def xliff_2(units: Sequence[str], *, source: str = "de", target: str = "en") -> str:
    return (
        f'<xliff xmlns="urn:oasis:names:tc:xliff:document:2.1" version="2.1" srcLang="{source}" trgLang="{target}">'
        f'<file id="f1">{"".join(units)}</file></xliff>'
    )


def po(entries: Sequence[str], *, language: str = "de", plurals: str = "nplurals=2; plural=(n != 1);") -> str:
    head = (
        f'# {USER}\nmsgid ""\nmsgstr ""\n"Last-Translator: {USER}\\n"\n"Language: {language}\\n"\n'
        f'"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: {plurals}\\n"\n'
    )
    return "\n\n".join((head, *entries)) + "\n"
