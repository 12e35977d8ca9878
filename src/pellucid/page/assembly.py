"""Put the page together: served, or as one file that needs nothing else.

``web/`` holds the page as data. Its modules import each other by bare names, and an import map says where a name is
found: served, at an address of this server; in the single file, in a ``data:`` URL. What the page then asks for are
paths; the single file carries their answers in data blocks. Either way a Content-Security-Policy lets the page
run its own scripts and nothing else. Read ``web/modules/data.js`` next, which is the other end of this.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final, Protocol

from pellucid.errors import RequestError
from pellucid.version import __version__

__all__ = ["TEMPLATE", "Embeddable", "ServedPage", "served_page", "standalone_page", "web_files"]

TEMPLATE: Final = "index.html"
"""Under ``web/``: no file of the page, but what it is filled into."""
JSON_TYPE: Final = "application/json"
OCTETS_TYPE: Final = "application/octet-stream;base64"
_TRACE_PATH: Final = re.compile(r"api/traces/[^/?]+")
# A script of the document may load modules; one that stands in the text of the page may not. So the start is a
# hashed script that makes the module's element: 'strict-dynamic' trusts what a trusted script makes, and the modules
# that come with it, but no data: URL that markup names. (An inline module's own imports count as the markup's.)
_START: Final = (
    "for (const name of [{names}]) {{ const start = document.createElement('script'); start.type = 'module'; "
    "start.src = 'data:text/javascript,import%20%22' + name + '%22'; document.head.append(start); }}"
)


class Embeddable(Protocol):
    """What a path is answered with; ``answers.Answer`` is one."""

    @property
    def body(self) -> bytes:
        """The octets, little-endian; or JSON in UTF-8."""

    @property
    def media_type(self) -> str:
        """``application/json``, or anything else for octets."""

    @property
    def shape(self) -> Sequence[int] | None:
        """Of the array that the octets are."""

    @property
    def dtype(self) -> str | None:
        """``f32`` or ``u8``."""


@dataclass(frozen=True)
class ServedPage:
    """The page as a server sends it, and the policy that goes with it as a header."""

    html: str
    csp: str


def web_files() -> dict[str, bytes]:
    """Return every file of the page by its path under ``web/``, such as ``modules/main.js``, with Unix ends of line."""
    found: dict[str, bytes] = {}
    waiting = [(files("pellucid") / "web", PurePosixPath())]
    while waiting:
        folder, path = waiting.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                waiting.append((entry, path / entry.name))
            else:
                # A checkout may have changed them, and a browser hashes a script after changing them back.
                found[str(path / entry.name)] = entry.read_bytes().replace(b"\r\n", b"\n")
    return dict(sorted(found.items()))


def served_page() -> ServedPage:
    """Make the page that asks its server for everything.

    Addresses are relative to the page, so that it also works behind a prefix; ``?v=`` is the start of the file's
    SHA-256, so that a file may be kept for ever under its address.
    """
    sources = web_files()
    address = {path: f"./web/{path}?v={hashlib.sha256(content).hexdigest()[:8]}" for path, content in sources.items()}
    import_map = _import_map({name: address[path] for name, path in _modules(sources).items()})
    start = f'<script type="module" src="{address["modules/main.js"]}"></script>'
    text = _filled(
        sources,
        attributes="",
        policy="",
        provenance=_meta("generator", f"pellucid {__version__}"),
        title="pellucid",
        style="\n".join(f'<link rel="stylesheet" href="{address[path]}">' for path in _styles(sources)),
        import_map=import_map,
        data="",
        start=start,
    )
    csp = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {_hash(import_map)}",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return ServedPage(html=text, csp=csp)


def standalone_page(
    embedded: Mapping[str, Embeddable],
    *,
    title: str,
    start: str,
    left_out: str = "",
    modules: Sequence[str] = ("pellucid/main",),
) -> str:
    """Make the page as one HTML file that opens from disk, without a network or a server.

    Args:
        embedded: the answers that it carries, by path; exactly one is the manifest of a trace.
        title: of the document.
        start: the state it opens with, as it stands in an address after ``#``.
        left_out: what it does not carry, in words, for whoever reads the file.
        modules: what it runs, in this order.

    Raises:
        RequestError: no trace or several are embedded, or an answer is no JSON and has no shape.
    """
    traces = [path for path in embedded if _TRACE_PATH.fullmatch(path)]
    if len(traces) != 1:
        raise RequestError(f"a single page shows exactly one trace, and {len(traces)} are embedded: {traces}")
    sources = web_files()
    import_map = _import_map({name: _data_url(sources[path]) for name, path in _modules(sources).items()})
    style = "\n".join(sources[path].decode() for path in _styles(sources))
    if "</style" in style.lower():
        raise RequestError("web/style: a style sheet holds '</style', which would end it early; write it '<\\/style'")
    script = _START.format(names=", ".join(f"'{name}'" for name in modules))
    texts = {f"web/{path}": content for path, content in sources.items() if path.startswith("texts/")}
    blocks = [_json_block(path, content) for path, content in texts.items()]
    blocks += [_block(path, answer) for path, answer in embedded.items()]
    csp = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(import_map)} {_hash(script)} 'strict-dynamic'",
            f"style-src {_hash(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    manifest = json.loads(embedded[traces[0]].body)
    facts = {
        "generator": f"pellucid {__version__}",
        "pellucid-provenance": json.dumps(manifest.get("provenance")),
        "pellucid-left-out": left_out,
    }
    attributes = {"data-mode": "file", "data-trace": traces[0], "data-start": start}
    return _filled(
        sources,
        attributes="".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items()),
        policy=f'<meta http-equiv="Content-Security-Policy" content="{html.escape(csp, quote=True)}">',
        provenance="\n".join(_meta(name, content) for name, content in facts.items()),
        title=html.escape(title),
        style=f"<style>{style}</style>",
        import_map=import_map,
        data="\n".join(blocks),
        start=f"<script>{script}</script>",
    )


def _filled(sources: Mapping[str, bytes], **parts: str) -> str:
    """Fill the template in one pass, so that nothing inserted is taken for a place to fill."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], sources[TEMPLATE].decode())


def _modules(sources: Mapping[str, bytes]) -> dict[str, str]:
    """Return the path of every module by the bare name that imports it."""
    names: dict[str, str] = {}
    for path in sources:
        folder, _, rest = path.partition("/")
        if folder == "vendor" and rest.endswith(".js"):
            names[rest.removesuffix(".js")] = path
        elif folder == "modules" and rest.endswith(".js"):
            names[f"pellucid/{rest.removesuffix('.js')}"] = path
    return names


def _styles(sources: Mapping[str, bytes]) -> list[str]:
    """Name the style sheets in the order they apply: the page's own, the pictures', then those of single views."""
    found = [path for path in sources if path.startswith("style/") and path.endswith(".css")]
    first = ["style/page.css", "style/pictures.css"]
    return [path for path in first if path in found] + [path for path in found if path not in first]


def _import_map(addresses: Mapping[str, str]) -> str:
    return _safe(json.dumps({"imports": dict(addresses)}, separators=(",", ":")))


def _data_url(content: bytes) -> str:
    return "data:text/javascript;base64," + base64.b64encode(content).decode()


def _hash(text: str) -> str:
    """Name inline content in a policy (CSP 3, section 2.3.1, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{html.escape(content, quote=True)}">'


def _block(path: str, answer: Embeddable) -> str:
    if answer.media_type.partition(";")[0] == JSON_TYPE:
        return _json_block(path, answer.body)
    if answer.shape is None or answer.dtype is None:
        raise RequestError(f"{path}: an answer of {answer.media_type} without shape or dtype cannot be embedded")
    shape = ",".join(str(side) for side in answer.shape)
    return (
        f'<script type="{OCTETS_TYPE}" data-path="{html.escape(path, quote=True)}" data-shape="{shape}" '
        f'data-dtype="{answer.dtype}">{base64.b64encode(answer.body).decode()}</script>'
    )


def _json_block(path: str, content: bytes) -> str:
    return f'<script type="{JSON_TYPE}" data-path="{html.escape(path, quote=True)}">{_safe(content.decode())}</script>'


def _safe(text: str) -> str:
    """Write JSON so that no string in it ends the element or starts a comment: all of these stand in strings only."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
