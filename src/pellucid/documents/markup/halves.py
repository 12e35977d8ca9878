"""Opening tags that wait for their closing tag, in a text where some have none. Read ``segmenting.py`` next."""

from __future__ import annotations

from collections import Counter

__all__ = ["OpenHalves"]


class OpenHalves:
    """The opening halves of a segment that wait for the other half."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, int]] = []
        self._counts: Counter[str] = Counter()
        self._left: list[int] = []
        self.has_single = False

    def open(self, name: str, place: int) -> None:
        """Let a half wait, by its place in a list."""
        self._waiting.append((name, place))
        self._counts[name] += 1

    def closed_by(self, name: str) -> int | None:
        """Return the place of the opening half; those inside it that are open have no other half."""
        if not self._counts[name]:
            return None
        while True:
            inner, place = self._waiting.pop()
            self._counts[inner] -= 1
            if inner == name:
                return place
            self._left.append(place)
            self.has_single = True

    def left(self) -> list[int]:
        """Return the places of the halves without another."""
        self.has_single = self.has_single or bool(self._waiting)
        return [*self._left, *(place for _, place in self._waiting)]
