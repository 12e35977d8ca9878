"""The verb ``train``: from parallel text to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pellucid.cli.console import counting, say, show
from pellucid.errors import ConfigError
from pellucid.runtime import let_others_run_at_barriers

if TYPE_CHECKING:
    from pellucid.config import Promise, Recipe
    from pellucid.jobs.train import TrainOutcome

__all__ = ["train"]

Table = dict[str, object]

_USUAL: Table = {}
"""What a command without ``--recipe`` has beside its options; ``{"preset": "auto"}`` would make that its preset."""


def train(
    output: Annotated[Path, typer.Option(help="The run folder; give the same one again to continue a stopped run.")],
    recipe: Annotated[Path | None, typer.Option(help="A recipe (*.toml) instead of the options below.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the files that the recipe names.")] = None,
    train_src: Annotated[Path | None, typer.Option(help="Training text, source side, one sentence a line.")] = None,
    train_tgt: Annotated[Path | None, typer.Option(help="Training text, target side, line by line.")] = None,
    valid_src: Annotated[Path | None, typer.Option(help="Validation text, source side.")] = None,
    valid_tgt: Annotated[Path | None, typer.Option(help="Validation text, target side.")] = None,
    general_src: Annotated[
        Path | None, typer.Option(help="With --init-from: text whose score must not fall, source side.")
    ] = None,
    general_tgt: Annotated[Path | None, typer.Option(help="The same text, target side.")] = None,
    src_lang: Annotated[str | None, typer.Option(help="Code of the source language: de, zh, pt-BR ...")] = None,
    tgt_lang: Annotated[str | None, typer.Option(help="Code of the target language.")] = None,
    preset: Annotated[str | None, typer.Option(help="Size: tiny, small, base, big; auto goes by the text.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of the whole run, over all its continuations.")] = None,
    init_from: Annotated[Path | None, typer.Option(help="Start from this model and keep its tokenizer.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as training.seed=7.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print what to expect, but do not train.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Compare the result with what the recipe promises; status 3 if it is worse."),
    ] = False,
) -> None:
    """Train a translator. The same command continues a stopped run."""
    let_others_run_at_barriers()
    from pellucid.cli.screens.training import TrainingScreen
    from pellucid.config import load_recipe, recipe_from
    from pellucid.jobs import train as job
    from pellucid.jobs.promises.checking import promise_of

    texts = {"train": (train_src, train_tgt), "valid": (valid_src, valid_tgt), "general": (general_src, general_tgt)}
    options = _table(texts, languages={"src_lang": src_lang, "tgt_lang": tgt_lang}, preset=preset)
    settings = list(set_ or [])
    if minutes is not None:
        settings.append(f"training.minutes={minutes}")
    if recipe is not None and options:
        raise ConfigError("give either --recipe, with --set for changes, or the options that name files, not both")
    if recipe is not None:
        chosen = load_recipe(recipe, settings)
        chosen = chosen.below(data_dir or Path())
    elif data_dir is not None:
        raise ConfigError("--data-dir names the folder of the files of a recipe; give --recipe with it")
    else:
        chosen = recipe_from(_USUAL | options, settings, place="command line")
    if check and recipe is None:
        raise ConfigError("--check compares a run with the promise of its recipe; give --recipe with it")
    promise = promise_of(chosen, place=str(recipe)) if check else None
    if dry_run:
        from pellucid.jobs.promises.dry_run import dry_run as predict

        say(predict(chosen, output, init_from=init_from).to_text())
        return
    with TrainingScreen() as screen:
        outcome = job.train(chosen, output, init_from=init_from, reporter=screen)
    if promise is not None and recipe is not None:
        _check(recipe, chosen, promise, outcome)


def _check(path: Path, chosen: Recipe, promise: Promise, outcome: TrainOutcome) -> NoReturn:
    """Show whether the promise of a recipe held, and exit with the status for it."""
    from pellucid.jobs.promises.checking import changed_settings, check_promise

    with counting("translated lines of the test set") as progress:
        changes = changed_settings(path, chosen)
        result = check_promise(chosen, promise, outcome, changes=changes, say=say, progress=progress)
    show(result.to_text())
    raise typer.Exit(result.exit_status)


def _table(
    texts: dict[str, tuple[Path | None, Path | None]], *, languages: dict[str, str | None], preset: str | None
) -> Table:
    """Return the options as the table of a recipe."""
    data: Table = {name: code for name, code in languages.items() if code}
    for name, (src, tgt) in texts.items():
        if src is None and tgt is None:
            continue
        if src is None or tgt is None:
            missing = "src" if src is None else "tgt"
            raise ConfigError(f"--{name}-{missing} is missing: a parallel text has two sides")
        corpus = {"src": src, "tgt": tgt, "name": name}
        data[name] = [corpus] if name == "train" else corpus
    return ({"data": data} if data else {}) | ({"preset": preset} if preset else {})
