"""A model folder on disk: everything that translation requires, and nothing that can execute.

    model.toml                    configuration and languages; names the weights, and the SHA-256 of every file
    weights-<sha8>.safetensors    the parameters
    tokenizer/                    the pieces and their ids
    card.md                       for people: data, recipe, scores; may be edited, so it carries no checksum

A save commits when it renames ``model.toml`` into place: before that the old model is whole, and
afterwards the new one; then it removes older weights. Files are untrusted: names, sizes, checksums,
shapes and number formats are compared with the configuration before a tensor is loaded. Read
``training/`` or ``translation/`` next.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pydantic import Field

from pellucid.config.model import ModelConfig
from pellucid.config.section import Section
from pellucid.config.tables import read_toml, to_toml, validated
from pellucid.config.translation import TranslationConfig
from pellucid.durable import DISK, Disk, can_be_name, refuse_full_disk, refuse_links, sha256_of
from pellucid.errors import BundleError, ConfigError, IncompatibleModelError
from pellucid.model_weights import dtype_name, load_weights, rounded
from pellucid.sample.embedded import direction_of, embedded_folder
from pellucid.untrusted import plain_file, shown
from pellucid.version import __version__
from pellucid.weights_file import summary

if TYPE_CHECKING:
    import torch

    from pellucid.model.transformer import Transformer
    from pellucid.text.tokenizer import Tokenizer

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "FolderDescription",
    "ModelDescription",
    "ModelFolder",
    "described",
    "find_model_folder",
    "load_bundle",
    "load_snapshot",
    "open_model_folder",
    "read_description",
    "read_model",
    "save_bundle",
    "unless_replaced",
    "verify_files",
    "verify_tokenizer",
]

FORMAT_VERSION: Final = 1
_DESCRIPTION: Final = "model.toml"
_TOKENIZER: Final = "tokenizer"


class FolderDescription(Section):
    """The description in a folder with a model, whatever its format."""

    format_version: int
    pellucid_version: str = ""
    source_language: str = "src"
    target_language: str = "tgt"
    files: dict[str, str]
    """SHA-256 of every file, by its path in the folder."""
    share_of_several_sentences: float | None = Field(None, ge=0, le=1)
    """Share of the training sources that hold more than one sentence; None if unknown."""
    model: ModelConfig
    translation: TranslationConfig = TranslationConfig()

    @property
    def single_sentences(self) -> bool:
        """Whether the model was trained on single sentences; assumed if the share is unknown."""
        from pellucid.text.sentences import has_single_sentences

        return has_single_sentences(self.share_of_several_sentences)


Description = TypeVar("Description", bound=FolderDescription)


class ModelDescription(FolderDescription):
    """The content of ``model.toml``."""

    weights: str = Field(pattern=r"^weights-[0-9a-f]{8}\.safetensors$")
    weights_dtype: Literal["int8", "float16", "bfloat16", "float32", "float64"] | None = None
    """Number format of the weights on disk, if not float32; the model computes in float32."""
    default_tag: str | None = None
    """Language tag of sources that begin with none, in a model with tags."""
    facts: dict[str, str | int | float] = Field(default_factory=dict)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the file with the weights."""
        return self.files[self.weights]


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose description and tokenizer are read and checked; its weights may not be read yet."""

    folder: Path
    description: ModelDescription
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Bundle(ModelFolder):
    """A model folder in memory. ``model`` is in evaluation mode."""

    model: Transformer


def find_model_folder(path: Path) -> Path:
    """Return the model folder at a path: the path itself, ``model/`` of a run folder, or an embedded translator.

    Raises:
        BundleError: there is no model there.
    """
    if not can_be_name(path):
        return embedded_folder(path)
    for folder in (path, path / "model"):
        if (folder / _DESCRIPTION).is_file():
            return folder
    if not path.exists():
        return embedded_folder(path)
    if (path / "checkpoints").is_dir():
        raise BundleError(
            f"{path}: this run has no model yet; the first one is written at its first validation, or when training "
            "ends. If the run was stopped, continue it with the same command"
        )
    raise BundleError(
        f"{path}: holds no {_DESCRIPTION} and no model/{_DESCRIPTION}, so it is neither a model nor a run"
    )


def save_bundle(
    folder: Path,
    model: Transformer,
    *,
    tokenizer: Tokenizer,
    card: str,
    source_language: str,
    target_language: str,
    translation: TranslationConfig | None = None,
    facts: dict[str, str | int | float] | None = None,
    share_of_several_sentences: float | None = None,
    dtype: torch.dtype | None = None,
    disk: Disk = DISK,
) -> ModelDescription:
    """Write a model folder, or replace the model in it.

    ``dtype`` is the number format on disk; None is the model's own. float16 halves the folder and rounds every
    weight to 11 significant bits; int8 quarters it (``model_weights.py``); ``model.toml`` says so.
    ``share_of_several_sentences`` is that of the training text.

    Raises:
        BundleError: a weight is too large for ``dtype``.
        DataError: the folder of the tokenizer is a link, or holds one.
        IncompatibleModelError: the folder holds a model with another tokenizer.
        StoppedError: the disk is full; the old model is intact.
    """
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    state = state if dtype is None else rounded(state, dtype)
    weights = save(state)
    with refuse_full_disk(_existing_parent(folder), needed_bytes=len(weights) + (8 << 20)):
        folder.mkdir(parents=True, exist_ok=True)
        files = _save_tokenizer(folder, tokenizer, disk)
        weights_hash = hashlib.sha256(weights).hexdigest()
        name = f"weights-{weights_hash[:8]}.safetensors"
        disk.write_replacing(folder / name, weights)
        description = ModelDescription(
            format_version=FORMAT_VERSION,
            pellucid_version=__version__,
            source_language=source_language,
            target_language=target_language,
            weights=name,
            weights_dtype=dtype_name(state),
            default_tag=tokenizer.default_tag or None,
            files=files | {name: weights_hash},
            facts=facts or {},
            share_of_several_sentences=share_of_several_sentences,
            model=model.config,
            translation=translation or TranslationConfig(),
        )
        disk.write_replacing(folder / _DESCRIPTION, to_toml(description).encode())
        disk.write_replacing(folder / "card.md", card.encode())
        # Older weights, and unfinished ones that a killed process left.
        for old in sorted([*folder.glob("weights-*.safetensors"), *folder.glob(".weights-*.safetensors.new")]):
            if old.name != name:
                disk.remove(old)
    return description


def load_bundle(path: Path, *, device: torch.device | str = "cpu") -> Bundle:
    """Read a model folder, or the model of a run folder, and check all of it first.

    Raises:
        BundleError: something is missing, damaged, unknown, too large or of a newer format.
        IncompatibleModelError: the parts are sound but do not fit each other.
    """
    return unless_replaced(path, lambda opened: read_model(opened, device=device))


def open_model_folder(path: Path) -> ModelFolder:
    """Read a model folder, or the model of a run folder, and check all of it but the content of the weights.

    Of the weights it checks that ``model.toml`` lists them and that the file is there. ``read_model`` reads them.

    Raises:
        BundleError: something is missing, damaged, unknown, too large or of a newer format.
        IncompatibleModelError: the tokenizer is not the one of the model.
    """
    return unless_replaced(path, lambda opened: opened)


_Opened = TypeVar("_Opened")


def unless_replaced(path: Path, read: Callable[[ModelFolder], _Opened]) -> _Opened:
    """Open a model folder and read it; start again where another process puts a new model in its place meanwhile."""
    folder = find_model_folder(path)
    direction = direction_of(path)
    while True:
        description = read_description(folder)
        if direction is not None:
            description = description.model_copy(update=direction.model_settings())
        try:
            return read(_open(folder, description))
        except (BundleError, FileNotFoundError):
            # A training run may have replaced the model meanwhile, and removed these weights.
            if read_description(folder).weights == description.weights:
                raise


def _open(folder: Path, description: ModelDescription) -> ModelFolder:
    from pellucid.text.tokenizer import load_tokenizer

    _verify_but_weights(folder, description)
    tokenizer = load_tokenizer(folder / _TOKENIZER)
    verify_tokenizer(folder, description.model, tokenizer)
    return ModelFolder(folder, description, tokenizer.with_default_tag(description.default_tag or ""))


def read_model(opened: ModelFolder, *, device: torch.device | str = "cpu") -> Bundle:
    """Read the weights of a model folder, and compare them with the SHA-256 and the configuration first.

    Raises:
        BundleError: they are missing, damaged or too large; or another model took their place since the folder was
            opened.
        IncompatibleModelError: they are not the weights of such a model.
    """
    folder, description = opened.folder, opened.description
    path = folder / description.weights
    if not path.exists() and (now := read_description(folder).weights) != description.weights:
        raise BundleError(
            f"{path}: this model was replaced by {now} since its folder was opened; open the folder again"
        )
    weights = {description.weights: description.weights_sha256}
    verify_files(folder / _DESCRIPTION, weights, needed=weights.keys())
    model = load_weights(path, description.model, stored=description.weights_dtype)
    return Bundle(folder, description, opened.tokenizer, model.to(device).eval())


def load_snapshot(opened: ModelFolder, path: Path, *, step: int) -> Bundle:
    """Read the weights of an earlier step of a run, with everything else of its model folder.

    The facts of the result hold the step alone, since the scores are those of the final model.

    Raises:
        BundleError: the file is missing or damaged.
        IncompatibleModelError: the weights are not those of this model.
    """
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{path}: is missing, or is not a plain file; the run has no weights of step {step}")
    model = load_weights(path, opened.description.model, stored=None)
    description = opened.description.model_copy(update={"facts": {"step": step}, "weights_dtype": None})
    device = next(opened.model.parameters()).device if isinstance(opened, Bundle) else "cpu"
    return Bundle(path, description, opened.tokenizer, model.to(device).eval())


def read_description(folder: Path) -> ModelDescription:
    """Read ``model.toml`` alone.

    Raises:
        BundleError: it is unreadable, of a newer format, or has unknown or wrong values.
    """
    path = folder / _DESCRIPTION
    try:
        table = read_toml(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    except ConfigError as error:
        raise BundleError(str(error)) from None
    return described(ModelDescription, table, place=path)


def described(kind: type[Description], table: dict[str, object], *, place: Path) -> Description:
    """Check the description of a folder.

    Raises:
        BundleError: it is of a newer format, or has unknown or wrong values.
    """
    found = table.get("format_version")
    if type(found) is not int or found < 1:
        raise BundleError(
            f"{place}: format_version = {shown(found)} is no version; versions up to {FORMAT_VERSION} are supported"
        )
    if found > FORMAT_VERSION:
        raise BundleError(
            f"{place}: format_version = {shown(found)} is newer than this pellucid reads ({FORMAT_VERSION}); upgrade "
            "pellucid"
        )
    try:
        return validated(kind, table, place=str(place))
    except ConfigError as error:
        raise BundleError(str(error)) from None


def _save_tokenizer(folder: Path, tokenizer: Tokenizer, disk: Disk) -> dict[str, str]:
    target = folder / _TOKENIZER
    refuse_links([target])
    with tempfile.TemporaryDirectory(prefix="pellucid-") as scratch:
        names = sorted(tokenizer.save(Path(scratch)))
        hashes = {f"{_TOKENIZER}/{name}": sha256_of(Path(scratch) / name) for name in names}
        if (folder / _DESCRIPTION).exists():
            old = {k: v for k, v in read_description(folder).files.items() if k.startswith(f"{_TOKENIZER}/")}
            if old != hashes:
                raise IncompatibleModelError(
                    f"{folder}: holds a model with another tokenizer; save this model to a new folder"
                )
            return hashes
        target.mkdir(exist_ok=True)
        for name in names:
            disk.write_replacing(target / name, (Path(scratch) / name).read_bytes())
    return hashes


def _verify_but_weights(folder: Path, description: ModelDescription) -> None:
    present = {f"{_TOKENIZER}/{path.name}" for path in (folder / _TOKENIZER).glob("*") if path.name[0] != "."}
    if unlisted := sorted(present - description.files.keys()):
        raise BundleError(f"{folder}: {summary(unlisted)} has no SHA-256 in {_DESCRIPTION}; it does not belong here")
    others = {name: sha256 for name, sha256 in description.files.items() if name != description.weights}
    verify_files(folder / _DESCRIPTION, others, needed={description.weights} - description.files.keys())
    plain_file(folder / description.weights)


def verify_files(description: Path, files: Mapping[str, str], *, needed: AbstractSet[str]) -> None:
    """Compare the files beside a description with the SHA-256 that it gives of each.

    Raises:
        BundleError: a needed file is not listed; a name leads elsewhere; a file is missing, a link or damaged.
    """
    if missing := sorted(needed - files.keys()):
        raise BundleError(f"{description}: 'files' does not list {', '.join(missing)}")
    for name, expected in sorted(files.items()):
        if not re.fullmatch(r"(tokenizer/)?[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise BundleError(f"{description}: file name {shown(name)} is not one that a model folder may hold")
        path = plain_file(description.parent / name)
        if sha256_of(path) != expected:
            raise BundleError(
                f"{path}: does not have the SHA-256 that {description.name} gives; it is damaged or was changed"
            )


def verify_tokenizer(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer whose vocabularies or special ids are not those of a model.

    Raises:
        IncompatibleModelError: they differ; the message says in what.
    """
    facts = {
        "source vocabulary": (tokenizer.source_vocab_size, config.source_vocab_size),
        "target vocabulary": (tokenizer.target_vocab_size, config.target_vocab_size),
        "special ids": (str(tokenizer.specials), str(config.specials)),
    }
    wrong = [f"{what}: tokenizer {a}, weights {b}" for what, (a, b) in facts.items() if a != b]
    if wrong:
        raise IncompatibleModelError(f"{folder}: the tokenizer does not fit these weights: {'; '.join(wrong)}")


def _existing_parent(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
