"""Find the files of a Marian model in a folder: the .npz, vocabularies, segmenters and search settings.

``decoder.yml`` names them where it exists, as in the packages of OPUS-MT. Without it the names of the files must be
unambiguous. Read ``yaml_file.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.errors import BundleError, counted
from pellucid.interop.marian.yaml_file import Settings, read_settings
from pellucid.interop.untrusted.files import MAX_JSON_BYTES, read_bytes

__all__ = ["NpzFolder", "find_npz_folder", "looks_like_npz", "read_text"]

DECODER: Final = "decoder.yml"
_MAX_SETTINGS_BYTES: Final = 1 << 20
# Beside the weights Marian keeps what it needs to train on.
_NOT_WEIGHTS: Final = (".optimizer.npz", ".ema.npz", ".progress.npz")


@dataclass(frozen=True)
class NpzFolder:
    """The files of one model."""

    weights: Path
    vocabularies: tuple[Path, Path]
    """Source and target; the same path twice if joint. ``.spm``, or YAML or JSON beside the segmenters."""
    segmenters: tuple[Path, Path]
    """Source and target SentencePiece files."""
    decoder: Settings
    """The search settings of ``decoder.yml``; empty without that file."""


def looks_like_npz(path: Path) -> bool:
    """Tell by file names alone whether a path is an .npz or a folder with one."""
    return path.suffix == ".npz" if path.is_file() else bool(path.is_dir() and _weights_in(path))


def find_npz_folder(path: Path) -> NpzFolder:
    """Return the files that belong to an .npz, or to the one of a folder.

    Raises:
        BundleError: there are none, or the choice is ambiguous.
    """
    folder = path.parent if path.is_file() else path
    decoder: Settings = {}
    if (folder / DECODER).exists() or (folder / DECODER).is_symlink():
        decoder = read_settings(read_text(folder / DECODER, most=_MAX_SETTINGS_BYTES), place=str(folder / DECODER))
    weights = path if path.is_file() else _weights(folder, decoder)
    vocabularies = _vocabularies(folder, weights, decoder)
    if all(vocabulary.suffix == ".spm" for vocabulary in vocabularies):
        return NpzFolder(weights, vocabularies, vocabularies, decoder)
    segmenters = folder / "source.spm", folder / "target.spm"
    if missing := [segmenter.name for segmenter in segmenters if not segmenter.exists()]:
        raise BundleError(
            f"{folder}: its vocabulary {vocabularies[0].name} has pieces, and {' and '.join(missing)} to cut text into "
            "them is missing. Models with other segmenters (BPE codes) are not supported; if this one has "
            "SentencePiece, put its two files there under these names"
        )
    return NpzFolder(weights, vocabularies, segmenters, decoder)


def read_text(path: Path, *, most: int = MAX_JSON_BYTES) -> str:
    """Return a text file in UTF-8.

    Raises:
        BundleError: as ``read_bytes``, or it is not UTF-8.
    """
    try:
        return read_bytes(path, most=most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: is not valid UTF-8 at byte {error.start}; fetch it again") from None


def _weights_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.npz") if not path.name.endswith(_NOT_WEIGHTS))


def _weights(folder: Path, decoder: Settings) -> Path:
    named = _named(folder, decoder, "models", most=1)
    found = named or _weights_in(folder)
    if len(found) == 1:
        return found[0]
    if not folder.is_dir():
        raise BundleError(f"{folder}: does not exist; name a model .npz, or the folder with it")
    names = ", ".join(path.name for path in found[:5])
    raise BundleError(f"{folder}: holds {len(found)} .npz files ({names}); name one of them, with its folder")


def _vocabularies(folder: Path, weights: Path, decoder: Settings) -> tuple[Path, Path]:
    if named := _named(folder, decoder, "vocabs", most=2):
        return named[0], named[-1]
    found = {path for end in ("yml", "yaml", "json", "spm") for path in folder.glob(f"*vocab*.{end}")}
    sides = []
    for side in ("src", "trg"):
        own = sorted(path for path in found if _is_of(path, side))
        sides.append(own or sorted(path for path in found if not _is_of(path, "src") and not _is_of(path, "trg")))
    if all(len(side) == 1 for side in sides):
        return sides[0][0], sides[1][0]
    names = ", ".join(sorted(path.name for path in found)[:6]) or "none"
    raise BundleError(
        f"{folder}: which vocabulary belongs to {weights.name} is ambiguous (candidates: {names}); write a file "
        f"{DECODER} there with the lines 'vocabs:', '  - SOURCE', '  - TARGET'"
    )


def _is_of(path: Path, side: str) -> bool:
    return f".{side}." in path.name or path.name.startswith(f"{side}.")


def _named(folder: Path, decoder: Settings, name: str, *, most: int) -> list[Path]:
    """Return the files that ``decoder.yml`` names; only the last part of a path counts."""
    value = decoder.get(name, [])
    given = [value] if isinstance(value, str) else value
    if len(given) > most:
        raise BundleError(f"{folder / DECODER}: {name} has {counted(len(given), 'file')}, limit {most}")
    paths = []
    for entry in given:
        plain = entry.replace("\\", "/").rpartition("/")[2]
        if plain in ("", ".", "..") or "\0" in plain:
            raise BundleError(
                f"{folder / DECODER}: {name} has the file {entry!r}; it must be the name of one beside it"
            )
        paths.append(folder / plain)
    return paths
