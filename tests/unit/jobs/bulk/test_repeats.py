"""A text that comes again is translated once, and nothing of the output shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest

from pellucid.jobs.bulk.repeats import Repeats
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator


class Counting:
    """Stands in for a translator; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def translate_stream(
        self, texts: Sequence[str | None], *, chunk: int, target_prefix: Sequence[str] | None, progress: object
    ) -> Iterator[Translation]:
        for number, text in enumerate(texts):
            prefix = target_prefix[number] if target_prefix is not None else ""
            self.asked.append((text, prefix) if prefix else text)
            yield Translation(text or "", "", 0.0, (), (), error=None if text else "unreadable")


def outcome(
    texts: Iterable[str | None], prefixes: Iterable[str] | None = None, *, repeats: Repeats, chunk: int = 4
) -> tuple[list[str], list[object]]:
    one: Translator = Counting()  # type: ignore[assignment]
    stream = repeats.translate_stream(one, texts, prefixes, chunk=chunk, progress=lambda done: None)
    return [result.source for result in stream], one.asked  # type: ignore[attr-defined]


@pytest.mark.parametrize("keeps", [False, True])
def test_order_and_repeats(keeps: bool) -> None:
    texts = ["a", "b", "a", None, "c", "a", None, "c", "a"]
    sources, asked = outcome(texts, repeats=Repeats(keeps=keeps))
    assert sources == [text or "" for text in texts]
    assert asked == (["a", "b", None, "c", None] if keeps else ["a", "b", None, "c", "a", None, "a"])


def test_another_prefix_is_another_text() -> None:
    assert outcome(["a", "a", "a"], ["x", "y", "x"], repeats=Repeats(keeps=True))[1] == [("a", "x"), ("a", "y")]


def test_what_is_kept_has_a_bound() -> None:
    repeats = Repeats(keeps=True, most=2)
    assert outcome(["a", "b", "c", "a", "x" * 201, "x" * 201], repeats=repeats, chunk=1)[1] == [
        *["a", "b", "c", "a"],
        *["x" * 201] * 2,
    ]
    assert outcome(["a", "c", "b"], repeats=repeats, chunk=1)[1] == ["b"]
