"""Make the recipe of a run of the options that name its text. Read ``test_set.py`` next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pellucid.config import DataConfig, Recipe, load_recipe, recipe_from
from pellucid.errors import ConfigError
from pellucid.text.formats.naming import files_of
from pellucid.text.formats.sides import languages_in

__all__ = ["TextOptions", "output_of", "recipe_of", "refuse_missing_languages"]

_USUAL_PRESET: Final = "auto"
"""Of a training text that the options name; a recipe names its own."""


@dataclass(frozen=True)
class TextOptions:
    """What the command line says about the text; empty where it says nothing."""

    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names and patterns by what they are for: ``train``, ``valid``, ``test``."""
    parallel: Mapping[str, tuple[Path | None, Path | None]] = field(default_factory=dict)
    """Two parallel files by what they are for; ``general`` too."""
    languages: Mapping[str, str | None] = field(default_factory=dict)
    """``src_lang`` and ``tgt_lang``."""
    preset: str | None = None

    def table(self) -> dict[str, object]:
        """Return the options as the table of a recipe.

        Raises:
            ConfigError: a parallel text has one side only, or a text is named twice.
        """
        data: dict[str, object] = {name: code for name, code in self.languages.items() if code}
        for name, (src, tgt) in self.parallel.items():
            if src is None and tgt is None:
                continue
            if src is None or tgt is None:
                missing = "src" if src is None else "tgt"
                raise ConfigError(f"--{name}-{missing} is missing: a parallel text has two sides")
            _put(data, name, {"src": src, "tgt": tgt, "name": name})
        for name, patterns in self.files.items():
            if patterns:
                _put(data, name, {"files": list(patterns)})
        preset = self.preset or (_USUAL_PRESET if "train" in data else None)
        return ({"data": data} if data else {}) | ({"preset": preset} if preset else {})


def _put(data: dict[str, object], name: str, corpus: dict[str, object]) -> None:
    if name in data:
        raise ConfigError(
            f"the {name} text is named twice, with --{name}-src and as files; leave one out, or write a recipe, which "
            "can have several corpora"
        )
    data[name] = [corpus] if name == "train" else corpus


def recipe_of(
    options: TextOptions, settings: Sequence[str], *, recipe: Path | None = None, data_dir: Path | None = None
) -> Recipe:
    """Return the recipe of a run, from its file or from the options.

    Raises:
        ConfigError: both are given or a setting is wrong.
    """
    table = options.table()
    if recipe is not None and table:
        raise ConfigError("give either --recipe, with --set for changes, or the options that name files, not both")
    if recipe is not None:
        return load_recipe(recipe, settings).below(data_dir or Path())
    if data_dir is not None:
        raise ConfigError("--data-dir names the folder of the files of a recipe; give --recipe with it")
    return recipe_from(table, settings, place="command line")


def missing_languages(recipe: Recipe) -> list[str]:
    """Return the options for the languages that a recipe does not name."""
    fields = {"src_lang": "--src-lang", "tgt_lang": "--tgt-lang"}
    return [
        option for name, option in fields.items() if getattr(recipe.data, name) == DataConfig.model_fields[name].default
    ]


def refuse_missing_languages(recipe: Recipe) -> None:
    """Ask for the languages of files that hold texts by language.

    Raises:
        ConfigError: the recipe does not name them; says which ones the first such file has.
        DataError: the file cannot be read.
    """
    languages = (recipe.data.src_lang, recipe.data.tgt_lang)
    for corpus in recipe.data.train if missing_languages(recipe) else ():
        if corpus.src_lang or corpus.tgt_lang or not corpus.files:
            continue
        for file in files_of(corpus, languages):
            if known := languages_in(file):
                options = " and ".join(missing_languages(recipe))
                raise ConfigError(
                    f"{file.path}: has texts in {', '.join(known)}; say from which language into which with {options}"
                )


def output_of(output: Path | None, recipe: Recipe) -> Path:
    """Return the run folder: the given one, or one with the names of the languages where files were named.

    Raises:
        ConfigError: none is given, and there is no name for it.
    """
    if output is not None:
        return output
    data = recipe.data
    codes = (data.src_lang, data.tgt_lang)
    if not any(corpus.files for corpus in data.train) or missing_languages(recipe):
        raise ConfigError("--output is missing; it names the run folder, such as --output runs/de-en")
    if any(not code.replace("-", "").replace("_", "").isalnum() for code in codes):
        raise ConfigError(f"--output is missing, and the codes {codes[0]!r} and {codes[1]!r} give no name for a folder")
    return Path("runs") / "-".join(codes)
