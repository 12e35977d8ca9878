"""A number in a message has the noun that fits it: never "1 minutes". ``errors.counted`` writes both."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.errors import are, counted

PACKAGE = Path(__file__).parents[1] / "src" / "pellucid"
NOUNS = """
arguments batches bits bytes characters checkpoints columns copies cores corrections days devices documents
edits entries epochs fields files groups heads hours hypotheses identities ids items keys languages layers
levels lines links matches members messages minutes models names numbers pages pairs parameters parts pieces
points positions problems processes records references requests returns rows runs samples seconds seeds segments
sentences settings shapes signs snapshots sources states steps targets tensors terms texts threads tokens
translations trials units validations values vocabularies words
"""
NO_ADJECTIVES = ["and", "for", "has", "holds", "is", "its", "not", "of", "or", "that", "the", "their", "to", "with"]
COUNTED = re.compile(rf" (?:(?!(?:{'|'.join(NO_ADJECTIVES)}) )[a-z-]+ )?(?:{'|'.join(NOUNS.split())})\b(?![-/])")
A_LIMIT = re.compile(r"[A-Z][A-Z_]{3,}|limit|most|least|longest|max_|vocab_size|batch_size|num_decoder_layers|sizes$")
"""Expressions of numbers that are never 1, and of several numbers."""
NO_COUNT = re.compile(r"(^|\.)(side|kind|name|stack|value|suffix|shown|what)\b|match\[|whose|position_layout|maker$")
"""Expressions that are words."""


@pytest.mark.parametrize(
    ("number", "name", "text"),
    [
        (0, "pair", "0 pairs"),
        (1, "minute", "1 minute"),
        (1.0, "minute", "1 minute"),
        (1.5, "minute", "1.5 minutes"),
        (0.25, "minute", "0.25 minutes"),
        (2, "batch", "2 batches"),
        (2, "epoch", "2 epochs"),
        (3, "hypothesis", "3 hypotheses"),
        (1, "identity", "1 identity"),
        (2, "identity", "2 identities"),
        (2, "day", "2 days"),
        (1_234_567, "target token", "1,234,567 target tokens"),
    ],
)
def test_a_noun_follows_its_number(number: float, name: str, text: str) -> None:
    assert counted(number, name) == text
    assert are(number) == ("is" if number == 1 else "are")


def _uncounted(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            shown = ast.unparse(value.value)
            spec = "" if value.format_spec is None else ast.unparse(value.format_spec)
            if value.conversion != -1 or "%" in spec or re.search(r"\.[1-9]f|e'", spec):
                continue  # a name in quotes, a share, or a measured number with its decimals
            found = COUNTED.match(str(after.value))
            is_counted = shown.startswith("counted(")
            if found and not is_counted and not A_LIMIT.search(shown) and not NO_COUNT.search(shown):
                yield value.lineno, f"{{{shown}}}{found[0]}"


def test_no_message_puts_a_plural_behind_any_number() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in _uncounted(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "write counted(number, 'noun') of pellucid.errors:\n" + "\n".join(found)


def test_the_rule_finds_what_it_is_for() -> None:
    for text in (
        "f'{n} minutes'",
        "f'{n:,} target tokens'",
        "f'a {len(x)} pairs b'",
        "f'{x:g} steps'",
        "f'{x:,.0f} epochs'",
    ):
        assert list(_uncounted(ast.parse(text))), text
    for text in ("{n:.1f} minutes", "{n:.0%} pairs", "{n} of its pairs", "{counted(n)} and pairs", "{n:,} tokens/s"):
        assert not list(_uncounted(ast.parse(f"f'{text}'"))), text
