"""What the documents quote is what the code says: lines of code, names of sites, printed results.

A quotation is a ``py`` or ``c`` fence (a ``python`` one is run) after a comment with the file that it is from:

    <!-- from: src/pellucid/model/attention.py -->

Its lines stand in that file one after the other, indentation as a whole aside; ``...`` stands for lines left out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.model import Transformer

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODEL_PAGE = ROOT / "docs" / "concepts" / "model.md"

QUOTE = re.compile(r"^(?:<!-- from: (?P<file>\S+) -->\n)?```(?:py|c)\n(?P<text>.*?)^```$", flags=re.S | re.M)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.S | re.M)
PRINTED = re.compile(r"^print\(.*\)  # (.*)$", flags=re.M)


@dataclass(frozen=True)
class Quote:
    page: str
    line: int
    file: str | None
    text: str


def quotes() -> Iterator[Quote]:
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        for found in QUOTE.finditer(content):
            line = content.count("\n", 0, found.start()) + 1
            yield Quote(str(page.relative_to(ROOT)), line, found["file"], found["text"])


QUOTES = list(quotes())


def block_place(lines: list[str], block: list[str], start: int) -> int | None:
    """Return where the lines of ``block`` stand together in ``lines``, from ``start`` on."""
    for place in range(start, len(lines) - len(block) + 1):
        there = textwrap.dedent("\n".join(lines[place : place + len(block)])).split("\n")
        if there == block:
            return place
    return None


@pytest.mark.parametrize("quote", QUOTES, ids=[f"{quote.page}:{quote.line}" for quote in QUOTES])
def test_quoted_lines_stand_in_the_file(quote: Quote) -> None:
    assert quote.file is not None, "a py fence needs <!-- from: FILE --> before it"
    lines = (ROOT / quote.file).read_text(encoding="utf-8").split("\n")
    start = 0
    for part in re.split(r"^\.\.\.\n", quote.text, flags=re.M):
        block = textwrap.dedent(part).rstrip("\n").split("\n")
        place = block_place(lines, block, start)
        assert place is not None, f"{quote.file} has no longer:\n{part}"
        start = place + len(block)


def test_there_are_quotations() -> None:
    files = {quote.file for quote in QUOTES if quote.page == str(MODEL_PAGE.relative_to(ROOT))}
    parts = {f"src/pellucid/model/{name}.py" for name in ("attention", "layers", "embedding", "positions")}
    assert parts <= files


class Names:
    """A recorder that keeps the names of sites."""

    def __init__(self) -> None:
        self.sites: set[str] = set()

    def visit(self, site: str, value: Tensor) -> Tensor:
        self.sites.add(site)
        return value


def recorded_sites() -> set[str]:
    names = Names()
    for norm_order in ("post", "pre"):
        sizes = {"d_model": 6, "num_heads": 3, "d_feedforward": 5, "source_vocab_size": 7, "target_vocab_size": 7}
        sizes |= {"num_encoder_layers": 1, "num_decoder_layers": 1}
        model = Transformer(ModelConfig.model_validate(sizes | {"norm_order": norm_order})).eval()
        model(torch.tensor([[4, 3]]), torch.tensor([[2, 5, 6]]), recorder=names)
    return names.sites


def documented_sites() -> set[str]:
    """Return the names after **Sites.** on the page of the model, braces written out, layer 0 for every layer."""
    found: set[str] = set()
    for paragraph in re.findall(
        r"^\*\*Sites\.\*\*(.*?)\n\n", MODEL_PAGE.read_text(encoding="utf-8"), flags=re.S | re.M
    ):
        for span in re.findall(r"`([^`]+)`", paragraph):
            if not re.fullmatch(r"[a-z_.{},]+", span) or span == "{l}":
                continue
            parts = re.split(r"\{([^{}]+)\}", span.replace("{l}", "0"))
            choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
            found |= {"".join(choice) for choice in product(*choices)}
    return found


def test_the_page_of_the_model_names_every_site_and_no_other() -> None:
    assert documented_sites() == recorded_sites()


def test_the_page_of_the_model_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "snippet"}
    expected: list[str] = []
    for language, text in FENCE.findall(MODEL_PAGE.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, str(MODEL_PAGE), "exec"), names)
            expected += PRINTED.findall(text)
    assert expected
    assert capsys.readouterr().out.split("\n")[:-1] == expected
