"""The page of settings is the settings: up to date, every field with a meaning, every choice explained."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pellucid.config import Recipe
from pellucid.config.reference import SECTIONS, choices_of, meanings_of, settings_reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "settings.md"


def parts_of(annotation: object) -> Iterator[object]:
    """Yield an annotation and all that it is made of, as ``tuple[X, ...]`` of X and ``X | None`` of X."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from parts_of(inner)


def records(kind: type[BaseModel] = Recipe) -> Iterator[type[BaseModel]]:
    """Yield a record and every record below it."""
    yield kind
    for field in kind.model_fields.values():
        for part in parts_of(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from records(part)


FIELDS = {f"{kind.__name__}.{name}": field for kind in records() for name, field in kind.model_fields.items()}
MEANINGS = {f"{kind.__name__}.{name}": text for kind in records() for name, text in meanings_of(kind).items()}
ENUMS = {
    part
    for field in FIELDS.values()
    for part in parts_of(field.annotation)
    if isinstance(part, type) and issubclass(part, Enum)
}


def test_the_page_is_up_to_date() -> None:
    remedy = "python -m pellucid.config.reference > docs/reference/settings.md"
    assert PAGE.read_text(encoding="utf-8") == settings_reference(), remedy


def test_the_page_has_every_section() -> None:
    assert {section for _, section in SECTIONS} == set(records())


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_a_meaning_in_one_sentence_or_two(name: str) -> None:
    meaning = MEANINGS.get(name, "")
    assert len(meaning) > 8
    assert meaning.rstrip().endswith((".", "..."))


def literals(field: FieldInfo) -> list[object]:
    return [choice for part in parts_of(field.annotation) if get_origin(part) is Literal for choice in get_args(part)]


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if literals(field)])
def test_the_meaning_of_a_field_names_its_choices(name: str) -> None:
    unnamed = [choice for choice in literals(FIELDS[name]) if f"``{choice}``" not in (MEANINGS.get(name, ""))]
    assert not unnamed


@pytest.mark.parametrize("kind", sorted(ENUMS, key=lambda kind: kind.__name__))
def test_every_choice_of_an_enum_is_explained(kind: type[Enum]) -> None:
    assert set(choices_of(kind)) == {str(member.value) for member in kind}
    assert all(meaning.endswith(".") for meaning in choices_of(kind).values())


def test_rows_show_name_default_and_what_is_allowed() -> None:
    rows = {tuple(cell.strip() for cell in row.split(" | ")[:3]) for row in PAGE.read_text().split("\n") if "|" in row}
    # one row of each kind of setting, as TOML writes it
    for row in (
        ("| `dropout`", "`0.1`", "number, 0 or more, under 1"),
        ("| `share_embeddings`", "`true`", "`true`, `false`"),
        ("| `norm_order`", '`"post"`', "`post`, `pre`"),
        ("| `vocab_size`", '`"auto"`', "whole number or `auto`"),
        ("| `minutes`", "not set", "number, over 0"),
        ("| `banned_tokens`", "`[]`", "list of texts"),
        ("| `src`", "not set", "file name"),
    ):
        assert row in rows


def test_no_blank_lines_are_doubled_and_no_cell_is_empty() -> None:
    page = settings_reference()
    assert "\n\n\n" not in page
    assert "|  |" not in page.replace("``", "")
