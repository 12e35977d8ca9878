"""Assemble the page: for a server, or as one self-contained file.

``web/`` holds the page as data. Its modules import each other by bare names, and an import map gives the address of
each name: on a server, a path; in the single file, a ``data:`` URL. The page requests paths; the single file contains
their answers in data blocks. In both cases a Content-Security-Policy allows only the scripts of the page. Read
``web/modules/data.js`` next, which requests the answers.
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
from typing import Final

from pellucid.errors import RequestError
from pellucid.page.answers import Answer
from pellucid.version import __version__

__all__ = ["TEMPLATE", "ServedPage", "served_page", "standalone_page", "translator_page", "web_files"]

TEMPLATE: Final = "index.html"
"""The template under ``web/``; it is not served itself."""
JSON_TYPE: Final = "application/json"
OCTETS_TYPE: Final = "application/octet-stream;base64"
_TRANSLATOR: Final = "translator"
"""Folder, below those of modules, styles and texts, of the page for translators; other pages do not need it."""
_TRACE_PATH: Final = re.compile(r"api/traces/[^/?]+")
# The policy allows a hashed script to load modules, but not the markup. So the page starts with a hashed script that
# creates the module's element: 'strict-dynamic' trusts elements that a trusted script creates and the modules that they
# import, but no data: URL in the markup. (The imports of an inline module count as markup.)
_START: Final = (
    "for (const name of [{names}]) {{ const start = document.createElement('script'); start.type = 'module'; "
    "start.src = 'data:text/javascript,import%20%22' + name + '%22'; document.head.append(start); }}"
)


@dataclass(frozen=True)
class ServedPage:
    """The page for a server, and the policy for its header."""

    html: str
    csp: str


def web_files() -> dict[str, bytes]:
    """Return every file of the page by its path under ``web/``, such as ``modules/main.js``, with Unix line ends."""
    found: dict[str, bytes] = {}
    waiting = [(files("pellucid") / "web", PurePosixPath())]
    while waiting:
        folder, path = waiting.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                waiting.append((entry, path / entry.name))
            else:
                # A checkout may have changed the line ends; a browser normalises them before it hashes a script.
                found[str(path / entry.name)] = entry.read_bytes().replace(b"\r\n", b"\n")
    return dict(sorted(found.items()))


def served_page(*, translates: bool = False) -> ServedPage:
    """Make the page that shows the inside of models and requests everything from its server.

    Addresses are relative, so that the page also works behind a prefix; ``?v=`` is the start of the SHA-256 of the
    file, so that browsers may cache the file without a limit.

    Args:
        translates: whether the server also has the page for translators.
    """
    sources = web_files()
    flags = {"data-translator": "yes"} if translates else {}
    return _served(sources, "modules/main.js", _styles(sources), attributes=flags)


def translator_page(*, shows_inside: bool) -> ServedPage:
    """Make the page for translators.

    Args:
        shows_inside: whether the server also has the page that shows the inside of its models.
    """
    sources = web_files()
    own = [path for path in sources if path.startswith(f"style/{_TRANSLATOR}/")]
    flags = {"data-inside": "yes"} if shows_inside else {}
    return _served(sources, f"modules/{_TRANSLATOR}/main.js", ["style/page.css", *own], attributes=flags)


def _served(
    sources: Mapping[str, bytes], module: str, styles: Sequence[str], *, attributes: Mapping[str, str]
) -> ServedPage:
    address = {path: f"./web/{path}?v={hashlib.sha256(content).hexdigest()[:8]}" for path, content in sources.items()}
    import_map = _import_map({name: address[path] for name, path in _modules(sources).items()})
    text = _filled(
        sources,
        attributes="".join(f' {name}="{value}"' for name, value in attributes.items()),
        policy="",
        provenance=_meta("generator", f"pellucid {__version__}"),
        title="pellucid",
        style="\n".join(f'<link rel="stylesheet" href="{address[path]}">' for path in styles),
        import_map=import_map,
        data="",
        start=f'<script type="module" src="{address[module]}"></script>',
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
    embedded: Mapping[str, Answer],
    *,
    title: str,
    start: str,
    left_out: str = "",
    modules: Sequence[str] = ("pellucid/main",),
) -> str:
    """Make the page as one HTML file that opens from disk without a network or a server.

    Args:
        embedded: its answers, by path; exactly one is the manifest of a trace.
        title: title of the document.
        start: the state at the start, as in an address after ``#``.
        left_out: a description of what the file does not contain.
        modules: the modules that it runs, in this order.

    Raises:
        RequestError: there is not exactly one trace, or an answer of octets has no shape.
    """
    traces = [path for path in embedded if _TRACE_PATH.fullmatch(path)]
    if len(traces) != 1:
        raise RequestError(f"a single page shows exactly one trace, but {len(traces)} are embedded: {traces}")
    sources = {path: content for path, content in web_files().items() if f"/{_TRANSLATOR}/" not in path}
    import_map = _import_map({name: _data_url(sources[path]) for name, path in _modules(sources).items()})
    style = "\n".join(sources[path].decode() for path in _styles(sources))
    if "</style" in style.lower():
        raise RequestError("web/style: a style sheet contains '</style', which would end it; write '<\\/style'")
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
    """Fill the template in one pass, so that inserted text is never a placeholder."""
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
    """Return the style sheets of the page in their order: page, pictures, then single views."""
    found = [path for path in sources if re.fullmatch(r"style/[^/]+\.css", path)]
    first = ["style/page.css", "style/pictures.css"]
    return [path for path in first if path in found] + [path for path in found if path not in first]


def _import_map(addresses: Mapping[str, str]) -> str:
    return _safe(json.dumps({"imports": dict(addresses)}, separators=(",", ":")))


def _data_url(content: bytes) -> str:
    return "data:text/javascript;base64," + base64.b64encode(content).decode()


def _hash(text: str) -> str:
    """Return the name of inline content in a policy (CSP 3, section 2.3.1, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{html.escape(content, quote=True)}">'


def _block(path: str, answer: Answer) -> str:
    if answer.media_type.partition(";")[0] == JSON_TYPE:
        return _json_block(path, answer.body)
    if answer.shape is None or answer.dtype is None:
        raise RequestError(f"{path}: an answer of {answer.media_type} requires shape and dtype to be embedded")
    shape = ",".join(str(side) for side in answer.shape)
    return (
        f'<script type="{OCTETS_TYPE}" data-path="{html.escape(path, quote=True)}" data-shape="{shape}" '
        f'data-dtype="{answer.dtype}">{base64.b64encode(answer.body).decode()}</script>'
    )


def _json_block(path: str, content: bytes) -> str:
    return f'<script type="{JSON_TYPE}" data-path="{html.escape(path, quote=True)}">{_safe(content.decode())}</script>'


def _safe(text: str) -> str:
    """Escape JSON so that no string in it ends the element or starts a comment; only strings contain these."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
