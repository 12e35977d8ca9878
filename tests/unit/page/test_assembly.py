"""The page put together: names found, policies that hold, data that comes back as it went in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import RequestError
from pellucid.page.answers import Answer
from pellucid.page.assembly import ServedPage, served_page, standalone_page, translator_page, web_files

MANIFEST = "api/traces/0123abcd"
HOSTILE = [
    "</script>",
    "<!--",
    "<script>",
    "]]>",
    "\u2028\u2029",
    "‮abc",
    "e\u0301",
    "👩‍👩‍👧",
    "&lt;",
    "\x00",
    "{{data}}",
    "\"'",
]


def json_answer(value: object) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False).encode())


class Page(HTMLParser):
    """A page as the parser of a browser sees it: its elements, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self._open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))
        self._open = tag in {"script", "style", "title"}

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def named(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.elements if name == tag]

    def block(self, path: str) -> tuple[dict[str, str | None], str]:
        (found,) = [one for one in self.named("script") if one[0].get("data-path") == path]
        return found

    @property
    def import_map(self) -> dict[str, str]:
        (found,) = [text for attributes, text in self.named("script") if attributes.get("type") == "importmap"]
        imports: dict[str, str] = json.loads(found)["imports"]
        return imports


def source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def standalone(**more: Answer) -> Page:
    answers = {MANIFEST: json_answer({"id": "0123abcd", "provenance": {"step": 7}})} | more
    return Page(standalone_page(answers, title="a </title> b", start="view=attention&layer=1"))


def bare_imports(source: bytes) -> set[str]:
    return set(re.findall(r"""(?:^|;)\s*(?:import|export)\b[^;'"]*?from\s*["']([^"']+)["']""", source.decode(), re.M))


def test_every_name_that_a_module_imports_is_in_both_maps() -> None:
    served = [Page(page.html).import_map for page in (served_page(), translator_page(shows_inside=True))]
    sources = {path: content for path, content in web_files().items() if path.startswith("modules/")}
    assert sources
    for path, content in sources.items():
        maps = served if "/translator/" in path else [*served, standalone().import_map]
        for name in bare_imports(content):
            assert all(name in names for names in maps), f"web/{path} imports {name!r}"


@pytest.mark.parametrize("served", [served_page(), translator_page(shows_inside=False)])
def test_served_addresses_name_their_content(served: ServedPage) -> None:
    page, sources = Page(served.html), web_files()
    links = [attributes["href"] for attributes, _ in page.named("link") if attributes["rel"] == "stylesheet"]
    addresses = [*page.import_map.values(), *links]
    assert len(addresses) > 2
    for address in addresses:
        assert address is not None
        path, _, version = address.partition("?v=")
        content = sources[path.removeprefix("./web/")]
        assert hashlib.sha256(content).hexdigest().startswith(version)
        assert len(version) == 8


@pytest.mark.parametrize("page", [served_page(), translator_page(shows_inside=True)])
def test_the_served_policy_names_its_one_inline_script(page: ServedPage) -> None:
    inline = [text for attributes, text in Page(page.html).named("script") if "src" not in attributes]
    assert [source_hash(text) in page.csp for text in inline] == [True]
    assert "unsafe" not in page.csp
    assert not Page(page.html).named("style")
    assert "style=" not in page.html


def test_the_single_file_holds_its_modules_and_asks_for_nothing() -> None:
    page, sources = standalone(), web_files()
    for name, address in page.import_map.items():
        kind, _, content = address.partition(";base64,")
        assert kind == "data:text/javascript"
        path = f"modules/{name.removeprefix('pellucid/')}.js" if name.startswith("pellucid/") else f"vendor/{name}.js"
        assert base64.b64decode(content) == sources[path]
    assert all(attributes["href"] == "data:," for attributes, _ in page.named("link"))
    assert not any("src" in attributes for _, attributes, _ in page.elements)


def test_the_single_file_runs_by_hash_alone() -> None:
    page = standalone()
    (policy,) = [a["content"] for a, _ in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    executed = [text for a, text in page.named("script") if a.get("type") in {None, "importmap", "module"}]
    allowed = directives["script-src"].split()
    assert sorted(allowed) == sorted([*map(source_hash, executed), "'strict-dynamic'"])
    assert directives["style-src"] == " ".join(source_hash(text) for _, text in page.named("style"))
    assert directives["img-src"] == "data: blob:"


def test_start_trace_and_provenance_are_in_the_file() -> None:
    page = standalone()
    ((attributes, _),) = page.named("html")
    assert attributes["data-mode"] == "file"
    assert attributes["data-trace"] == MANIFEST
    assert attributes["data-start"] == "view=attention&layer=1"
    (provenance,) = [a["content"] for a, _ in page.named("meta") if a.get("name") == "pellucid-provenance"]
    assert json.loads(provenance or "") == {"step": 7}
    assert page.named("title")[0][1].startswith("a ")
    languages = [path for path in web_files() if path.startswith("texts/") and "/translator/" not in path]
    assert languages
    for path in languages:
        assert json.loads(page.block(f"web/{path}")[1]) == json.loads(web_files()[path])


def test_the_single_file_has_nothing_of_the_page_for_translators() -> None:
    page = standalone()
    assert not [name for name in page.import_map if "translator" in name]
    assert not [one for one, _ in page.named("script") if "translator" in (one.get("data-path") or "")]


def test_a_page_says_which_other_page_its_server_has() -> None:
    ((inside, _),) = Page(served_page(translates=True).html).named("html")
    ((alone, _),) = Page(served_page().html).named("html")
    ((translator, _),) = Page(translator_page(shows_inside=True).html).named("html")
    ((without, _),) = Page(translator_page(shows_inside=False).html).named("html")
    assert inside["data-translator"] == translator["data-inside"] == "yes"
    assert "data-translator" not in alone
    assert "data-inside" not in without


@settings(max_examples=15)
@given(st.lists(st.text() | st.sampled_from(HOSTILE)))
def test_any_text_comes_back_as_it_went_in(words: list[str]) -> None:
    usual = len(standalone().elements)
    page = standalone(**{'api/a?b=1&c="<': json_answer(words)})
    assert json.loads(page.block('api/a?b=1&c="<')[1]) == words
    assert len(page.elements) == usual + 1


def test_octets_come_back_with_their_shape() -> None:
    octets = bytes(range(256))
    page = standalone(x=Answer(octets, "application/octet-stream", (4, 16), "f32"))
    attributes, text = page.block("x")
    assert base64.b64decode(text) == octets
    assert (attributes["data-shape"], attributes["data-dtype"]) == ("4,16", "f32")
    assert attributes["type"] == "application/octet-stream;base64"


def test_what_cannot_be_embedded_is_told() -> None:
    with pytest.raises(RequestError, match="x: an answer of image/png requires shape"):
        standalone(x=Answer(b"", "image/png"))
    with pytest.raises(RequestError, match="exactly one trace, but 0 are"):
        standalone_page({}, title="", start="")
