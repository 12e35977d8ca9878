"""The verb ``train``: from parallel text to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say
from pellucid.errors import ConfigError

__all__ = ["train"]

Table = dict[str, object]


def train(
    output: Annotated[Path, typer.Option(help="The run folder; give the same one again to continue a stopped run.")],
    recipe: Annotated[Path | None, typer.Option(help="A recipe (*.toml) instead of the options below.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the files that the recipe names are.")] = None,
    train_src: Annotated[Path | None, typer.Option(help="Source side of the training text, a sentence a line.")] = None,
    train_tgt: Annotated[Path | None, typer.Option(help="Target side, line by line its translation.")] = None,
    valid_src: Annotated[Path | None, typer.Option(help="Source side of the validation text.")] = None,
    valid_tgt: Annotated[Path | None, typer.Option(help="Target side of the validation text.")] = None,
    src_lang: Annotated[str | None, typer.Option(help="Code of the source language: de, zh, pt-BR ...")] = None,
    tgt_lang: Annotated[str | None, typer.Option(help="Code of the target language.")] = None,
    preset: Annotated[str | None, typer.Option(help="Size of the model: tiny, small, base or big.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget for the whole command, resumed runs added up.")] = None,
    init_from: Annotated[Path | None, typer.Option(help="Start from this model and keep its tokenizer.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, as in training.seed=7.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print what to expect, train nothing.")
    ] = False,
) -> None:
    """Train a translator. The same command continues a run that was stopped."""
    from pellucid.cli.training_screen import TrainingScreen
    from pellucid.config import load_recipe, recipe_from
    from pellucid.jobs import train as job

    options = _table(train_src, train_tgt, valid_src, valid_tgt, src_lang, tgt_lang, preset)
    settings = list(set_ or [])
    if minutes is not None:
        settings.append(f"training.minutes={minutes}")
    if recipe is not None and options:
        raise ConfigError("give either --recipe, with --set for changes, or the options that name files, not both")
    if recipe is not None:
        chosen = load_recipe(recipe, settings)
        chosen = chosen.model_copy(update={"data": chosen.data.below(data_dir or Path())})
    elif data_dir is not None:
        raise ConfigError("--data-dir says where the files of a recipe are; give --recipe with it")
    else:
        chosen = recipe_from(options, settings, place="command line")
    if dry_run:
        from pellucid.jobs.dry_run import dry_run as check

        say(check(chosen, output, init_from=init_from).to_text())
        return
    with TrainingScreen() as screen:
        job.train(chosen, output, init_from=init_from, reporter=screen)


def _table(
    train_src: Path | None,
    train_tgt: Path | None,
    valid_src: Path | None,
    valid_tgt: Path | None,
    src_lang: str | None,
    tgt_lang: str | None,
    preset: str | None,
) -> Table:
    data: Table = {}
    if train_src or train_tgt:
        data["train"] = [_corpus(train_src, train_tgt, "train")]
    if valid_src or valid_tgt:
        data["valid"] = _corpus(valid_src, valid_tgt, "valid")
    if src_lang:
        data["src_lang"] = src_lang
    if tgt_lang:
        data["tgt_lang"] = tgt_lang
    table: Table = {"data": data} if data else {}
    if preset:
        table["preset"] = preset
    return table


def _corpus(src: Path | None, tgt: Path | None, what: str) -> Table:
    if src is None or tgt is None:
        missing = "src" if src is None else "tgt"
        raise ConfigError(f"--{what}-{missing} is missing: a parallel text has two sides")
    return {"src": src, "tgt": tgt, "name": what}
