"""The translators that come with pellucid: one model for several directions, each under a name such as ``fr-en``.

The model chooses its target language by a tag before the source. A name stands for the folder of the model together
with the tag and the languages of its direction, wherever a model folder can be named. A file or folder of that name in
the current folder comes first. Read ``../bundle.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.errors import BundleError

__all__ = [
    "DIRECTIONS",
    "EMBEDDED_FOLDER",
    "Direction",
    "direction_of",
    "embedded_folder",
    "has_embedded",
    "is_shipped",
]

EMBEDDED_FOLDER: Final = Path(__file__).with_name("translators")
"""The model folder; benchmarks/embed_translators.py writes it."""
_LONGEST_SHOWN: Final = 200


@dataclass(frozen=True)
class Direction:
    """A source and a target language of the embedded model; ``examples`` are sources for the page."""

    source_language: str
    target_language: str
    examples: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that stands for this direction."""
        return f"{self.source_language}-{self.target_language}"

    def model_settings(self) -> dict[str, str]:
        """Return what this direction sets in the description of the model."""
        return {
            "source_language": self.source_language,
            "target_language": self.target_language,
            "default_tag": f">>{self.target_language}<<",
        }


_ENGLISH: Final = ("Where is the station?", "I didn't know that you could speak French.", "She bought a new car.")
_FRENCH: Final = ("Où est la gare ?", "Je ne savais pas que tu parlais anglais.", "Elle a acheté une nouvelle voiture.")
_GERMAN: Final = ("Wo ist der Bahnhof?", "Ich wusste nicht, dass du Englisch sprichst.", "Sie hat ein Auto gekauft.")

DIRECTIONS: Final[Mapping[str, Direction]] = {
    direction.name: direction
    for direction in (
        Direction("fr", "en", _FRENCH),
        Direction("en", "fr", _ENGLISH),
        Direction("de", "en", _GERMAN),
        Direction("en", "de", _ENGLISH),
    )
}
"""The directions of the embedded model, by name."""


def has_embedded() -> bool:
    """Return whether this installation has the embedded model."""
    return (EMBEDDED_FOLDER / "model.toml").is_file()


def is_shipped(folder: Path) -> bool:
    """Return whether a folder is part of the installed package, so that no verb may write into it."""
    return folder.resolve().is_relative_to(Path(__file__).parent.resolve())


def direction_of(path: Path) -> Direction | None:
    """Return the direction that a path names; None for every other path."""
    direction = DIRECTIONS.get(str(path))
    return None if direction is None or path.exists() else direction


def embedded_folder(path: Path) -> Path:
    """Return the folder of the embedded model for the name of one of its directions.

    Raises:
        BundleError: the path is no such name, or this installation has no embedded model.
    """
    if direction_of(path) is None:
        name = str(path) if len(str(path)) <= _LONGEST_SHOWN else f"{str(path)[:_LONGEST_SHOWN]}..."
        names = f", or one of the embedded translators: {', '.join(DIRECTIONS)}" if has_embedded() else ""
        raise BundleError(f"{name}: no such folder; name a model folder or a run folder{names}")
    if not has_embedded():
        raise BundleError(
            f"{path}: the embedded translators are not part of this installation; name a model folder or a run folder, "
            "or train them with recipes/embedded-translators.toml"
        )
    return EMBEDDED_FOLDER
