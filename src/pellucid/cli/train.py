"""The verb ``train``: from parallel text to a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pellucid.cli.console import counting, say, show
from pellucid.errors import ConfigError
from pellucid.runtime import let_others_run_at_barriers

if TYPE_CHECKING:
    from pellucid.config import Promise, Recipe
    from pellucid.jobs.corpora.command_line import TextOptions
    from pellucid.jobs.train import TrainOutcome

__all__ = ["train"]


def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Training text: TMX, XLIFF, PO, CSV, TSV, JSON lines, Parquet."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The run folder, the same to continue a stopped run; for files runs/SRC-TGT if unset."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe (*.toml) instead of the options below.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the files that the recipe names.")] = None,
    train_src: Annotated[Path | None, typer.Option(help="Training text, source side, one sentence a line.")] = None,
    train_tgt: Annotated[Path | None, typer.Option(help="Training text, target side, line by line.")] = None,
    valid_src: Annotated[Path | None, typer.Option(help="Validation text, source side.")] = None,
    valid_tgt: Annotated[Path | None, typer.Option(help="Validation text, target side.")] = None,
    valid: Annotated[list[str] | None, typer.Option(help="Validation text in any format; held out if unset.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Test text in any format; scored at the end.")] = None,
    general_src: Annotated[
        Path | None, typer.Option(help="With --init-from: text whose score must not fall, source side.")
    ] = None,
    general_tgt: Annotated[Path | None, typer.Option(help="The same text, target side.")] = None,
    src_lang: Annotated[str | None, typer.Option(help="Code of the source language: de, zh, pt-BR ...")] = None,
    tgt_lang: Annotated[str | None, typer.Option(help="Code of the target language.")] = None,
    preset: Annotated[str | None, typer.Option(help="Size: tiny, small, base, big; unset: auto, by the text.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of the whole run, over all its continuations.")] = None,
    init_from: Annotated[Path | None, typer.Option(help="Start from this model and keep its tokenizer.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as training.seed=7.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and predict, but do not train.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with the recipe's promise; status 3 if not.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve the page and the translation service.")] = False,
) -> None:
    """Train a translator. The same command continues a stopped run."""
    let_others_run_at_barriers()
    from pellucid.jobs.corpora.command_line import TextOptions

    options = TextOptions(
        files={"train": files or [], "valid": valid or [], "test": test or []},
        parallel={
            "train": (train_src, train_tgt),
            "valid": (valid_src, valid_tgt),
            "general": (general_src, general_tgt),
        },
        languages={"src_lang": src_lang, "tgt_lang": tgt_lang},
        preset=preset,
    )
    settings = [*(set_ or []), *([] if minutes is None else [f"training.minutes={minutes}"])]
    _Run(options, settings, recipe, data_dir, output, init_from).go(dry_run=dry_run, check=check, serve=serve)


@dataclass(frozen=True)
class _Run:
    """What to train, from the command line."""

    options: TextOptions
    settings: list[str]
    recipe: Path | None
    data_dir: Path | None
    output: Path | None
    init_from: Path | None

    def go(self, *, dry_run: bool, check: bool, serve: bool) -> None:
        """Predict, or train, score and open the page."""
        from pellucid.jobs.corpora.command_line import output_of, recipe_of, refuse_missing_languages

        chosen = recipe_of(self.options, self.settings, recipe=self.recipe, data_dir=self.data_dir)
        if self.init_from is None:  # whose languages they are otherwise
            refuse_missing_languages(chosen)
        output = output_of(self.output, chosen)
        if check and self.recipe is None:
            raise ConfigError("--check compares a run with the promise of its recipe; give --recipe with it")
        if serve and (check or dry_run):
            raise ConfigError("--serve opens the page after a training; leave --check and --dry-run out")
        # These import torch, and a mistake in the recipe should not wait for it.
        from pellucid.cli.screens.training import TrainingScreen
        from pellucid.jobs import train as job
        from pellucid.jobs.promises.checking import promise_of

        promise = promise_of(chosen, place=str(self.recipe)) if check else None
        if dry_run:
            from pellucid.jobs.promises.dry_run import dry_run as predict

            say(predict(chosen, output, init_from=self.init_from).to_text())
            return
        with TrainingScreen() as screen:
            outcome = job.train(chosen, output, init_from=self.init_from, reporter=screen)
        _score(chosen, outcome)
        if promise is not None and self.recipe is not None:
            _check(self.recipe, chosen, promise, outcome)
        if serve:
            from pellucid.cli.serve import serve as serve_models

            serve_models([output])


def _score(chosen: Recipe, outcome: TrainOutcome) -> None:
    """Show the scores on the test text, if the run has one."""
    from pellucid.jobs.corpora.test_score import score_on_test

    with counting("translated test sentences") as progress:
        report = score_on_test(chosen, outcome, say=say, progress=progress)
    if report is not None:
        show(report.to_text())


def _check(path: Path, chosen: Recipe, promise: Promise, outcome: TrainOutcome) -> NoReturn:
    """Show whether the promise of a recipe held, and exit with the status for it."""
    from pellucid.jobs.promises.checking import changed_settings, check_promise

    with counting("translated lines of the test set") as progress:
        changes = changed_settings(path, chosen)
        result = check_promise(chosen, promise, outcome, changes=changes, say=say, progress=progress)
    show(result.to_text())
    raise typer.Exit(result.exit_status)
