"""``import pellucid`` gives the promised names, each from its home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pellucid


@pytest.mark.parametrize("name", pellucid.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pellucid, name) is not None
    assert name in dir(pellucid)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="transalte"):
        pellucid.transalte  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(pellucid.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(pellucid.__all__)
