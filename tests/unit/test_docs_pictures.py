"""The pages on looking inside name pictures, code and sites that exist."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import pytest

import pellucid
from pellucid.config import ModelConfig
from pellucid.tracing.sites import all_sites

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = Path(pellucid.__file__).parent
MODULES: Final = PACKAGE / "web" / "modules"
WALKTHROUGH: Final = ROOT / "docs" / "concepts" / "walkthrough.md"
TEACHING: Final = ROOT / "docs" / "guides" / "teaching.md"
PAGES: Final = sorted((ROOT / "docs").rglob("*.md"))

FRAGMENT: Final = re.compile(r"#([a-z]+=[^\s`|)\"]+)")
KINDS: Final = {"encoder", "decoder", "cross"}


def views() -> list[str]:
    return re.findall(r'\{name: "(\w+)", Component', (MODULES / "views.js").read_text(encoding="utf-8"))


def state_keys() -> set[str]:
    """Return the keys of an address: the shared ones, and those that single views read."""
    shared = re.search(r"const DEFAULTS = \{(.*?)\};", (MODULES / "state.js").read_text(encoding="utf-8"), flags=re.S)
    assert shared
    keys = set(re.findall(r"^\s+(\w+):", shared[1], flags=re.M))
    for path in MODULES.rglob("*.js"):
        keys |= set(re.findall(r'(?:state\[|state, )"([\w.]+)"', path.read_text(encoding="utf-8")))
    return keys


def fragments() -> list[tuple[str, dict[str, str]]]:
    found = []
    for page in PAGES:
        for fragment in FRAGMENT.findall(page.read_text(encoding="utf-8")):
            found.append((f"{page.relative_to(ROOT)}: #{fragment}", dict(parse_qsl(fragment, strict_parsing=True))))
    return found


def test_addresses_open_pictures_that_exist() -> None:
    known = state_keys()
    assert {"view", "layer", "targets.step"} <= known
    assert len(fragments()) > 20
    for place, state in fragments():
        assert not set(state) - known, place
        assert state.get("view", "translate") in views(), place
        assert state.get("kind", "encoder") in KINDS, place
        for key in ("layer", "query", "key", "step"):
            assert state.get(key, "0").isdecimal(), place


def test_the_walkthrough_has_every_chapter_under_its_name() -> None:
    page = WALKTHROUGH.read_text(encoding="utf-8")
    names = json.loads((PACKAGE / "web" / "texts" / "en.json").read_text(encoding="utf-8"))
    for view in views():
        assert f"#view={view}" in page, view
        assert names[f"{view}.name"] in page, view


def test_the_guide_for_teachers_lists_the_chapters() -> None:
    row = re.search(r"^\| `view` \|(.*)\|$", TEACHING.read_text(encoding="utf-8"), flags=re.M)
    assert row
    assert re.findall(r"`(\w+)`", row[1]) == views()


def test_ten_questions_each_with_a_place_and_an_answer() -> None:
    section = TEACHING.read_text(encoding="utf-8").split("## Ten questions")[1].split("\n## ")[0]
    found = re.findall(r"^\*\*(\d+)\. [^*]+\?\*\*\n\*Chapters? [^*]+\*[ \n](.+)", section, flags=re.M)
    assert [int(number) for number, _ in found] == list(range(1, 11))


CODE: Final = re.findall(r"`([\w/]+\.py):([\w.]+)`", WALKTHROUGH.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), sorted(set(CODE)), ids=lambda part: part)
def test_code_that_is_named_exists(file: str, name: str) -> None:
    body: list[ast.stmt] = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    for part in name.split("."):
        found = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part]
        assert found, f"{file} has no {name}"
        body = found[0].body


def sites_of_models() -> set[str]:
    """Return every site of a model with one layer, in both orders of the norm."""
    sizes = {"num_encoder_layers": 1, "num_decoder_layers": 1}
    configs = [ModelConfig.model_validate(sizes | {"norm_order": order}) for order in ("post", "pre")]
    return {site for config in configs for site in all_sites(config)}


def named_sites() -> set[str]:
    """Return the sites of the walkthrough's tables; ``.keys`` after ``....queries`` is its neighbour."""
    found: set[str] = set()
    last = ""
    for span in re.findall(r"`([^`]+)`", WALKTHROUGH.read_text(encoding="utf-8")):
        if re.fullmatch(r"\.\w+", span):
            last = last.rpartition(".")[0] + span
        elif re.fullmatch(r"(source|target|encoder|decoder)\.[\w.{}]+|logits|log_probabilities", span):
            last = span.replace("{l}", "0")
        else:
            continue
        found.add(last)
    return found - {"decoder.0"}


def test_sites_that_are_named_exist() -> None:
    assert len(named_sites()) > 25
    assert not sorted(named_sites() - sites_of_models())
