"""Fine-tune a model on accepted corrections, measure it, and put it in place only if it is better.

The run is a fine-tuning with the guard (``../fine_tuning/``); ``learning.json`` in its folder says from what the model
was made and how it was judged. A link that a server reads is replaced in one step, and only then.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pellucid.bundle import find_model_folder, read_description
from pellucid.config import Recipe, recipe_from
from pellucid.durable import DISK
from pellucid.errors import ConfigError, counted
from pellucid.jobs.learning.text import LearningText, accepted_in, is_few, learning_text, outlook
from pellucid.jobs.models import languages_of
from pellucid.version import __version__

if TYPE_CHECKING:
    from pellucid.jobs.reporting.reporter import JobReporter

__all__ = ["Lesson", "judged", "learn"]

_TRAINING: Final[dict[str, object]] = {
    "learning_rate": 2e-4,
    "warmup_steps": 50,
    "valid_steps": 50,
    "train_steps": 300,
    "early_stopping": 3,
}
"""Of a short run; ``--set`` changes them."""
_TRAINING_OF_FEW: Final[dict[str, object]] = {"valid_steps": 20}
"""Few corrections are learnt soon, and what follows is forgetting."""
_LEVEL: Final = 0.05
"""Of significance, as in the table of ``../fine_tuning/comparison.py``."""
_LENGTH_OF_ITS_OWN: Final = ("train_steps", "early_stopping")
"""What counts only where the user says nothing about the length."""
_LENGTHS: Final = ("training.train_steps", "training.minutes", "training.max_epochs")


@dataclass(frozen=True)
class Lesson:
    """What came of a run."""

    is_better: bool
    is_sure: bool
    """Whether the held-out corrections show it: their change is larger than what chance alone makes likely."""
    reasons: tuple[str, ...]
    """Why the model is better, or why it is not, with the numbers."""
    placed: Path | None
    """The link that now leads to the model."""

    def to_text(self) -> str:
        """Return the lines for the screen."""
        doubt = "" if self.is_sure else ", but too few corrections are held out to be sure"
        verdict = f"better{doubt}" if self.is_better else "not better, so nothing was put in place"
        lines = [f"the new model is {verdict}:", *(f"  {reason}" for reason in self.reasons)]
        return "\n".join([*lines, f"{self.placed} leads to it now"] if self.placed else lines)


def learn(
    model: Path,
    corrections: Path,
    *,
    output: Path,
    general: Sequence[str] = (),
    settings: Sequence[str] = (),
    into: Path | None = None,
    reporter: JobReporter,
) -> Lesson:
    """Fine-tune ``model`` on the accepted corrections of a folder into the run folder ``output``.

    ``into`` is a link, or does not exist; it leads to the new model if that is better in the domain and has not
    forgotten more than ``training.max_forgetting``.

    Raises:
        DataError: there are too few corrections.
        ConfigError: a setting is wrong, there is no general text, or ``into`` is no link.
        StoppedError: the training stopped early; the same call continues it.
    """
    _refuse_no_link(into)
    _refuse_settings(settings)
    source_language, target_language = languages_of(model)
    accepted = accepted_in(corrections, (source_language, target_language))
    text = learning_text(accepted, model=model, general=general, folder=output / "corrections")
    for note in (outlook(accepted), *text.notes):
        reporter.message(note)
    languages = {"src_lang": source_language, "tgt_lang": target_language}
    recipe = recipe_from(
        {"data": {**text.data, **languages}, "training": _training(settings, is_short=is_few(accepted))},
        settings,
        place="pellucid learn",
    )
    if not recipe.training.valid_bleu_sentences:
        raise ConfigError("training.valid_bleu_sentences = 0 measures nothing, and learning has to; leave it out")
    from pellucid.jobs.train import train  # imports torch, so what is wrong is said before

    train(recipe, output, init_from=model, reporter=reporter)
    rows = json.loads((output / "fine_tuning.json").read_text(encoding="utf-8"))["rows"]
    is_better, is_sure, reasons = judged(rows, recipe)
    verdict = {"is_better": is_better, "is_sure": is_sure, "reasons": [*reasons]}
    _write_origin(output, model, text, rows, verdict)
    if into is not None and is_better:
        _place(output, into)
    return Lesson(is_better, is_sure, reasons, into if is_better else None)


def _refuse_settings(settings: Sequence[str]) -> None:
    """Refuse wrong settings before anything is read; the text of the recipe stands for the one that is made later."""
    data = {"train": [{"src": "corrections", "tgt": "corrections"}]}
    recipe_from({"data": data, "training": _training(settings, is_short=False)}, settings, place="pellucid learn")


def _training(settings: Sequence[str], *, is_short: bool) -> dict[str, object]:
    usual = _TRAINING | (_TRAINING_OF_FEW if is_short else {})
    has_length = any(setting.startswith(_LENGTHS) for setting in settings)
    return {name: value for name, value in usual.items() if not (has_length and name in _LENGTH_OF_ITS_OWN)}


def judged(rows: Sequence[dict[str, Any]], recipe: Recipe) -> tuple[bool, bool, tuple[str, ...]]:
    """Compare both scores with what is asked of a better model, and say whether the one of the domain is sure."""
    limits = {"domain": ("held-out corrections", "has to rise"), "general": ("general text", "may fall by ")}
    most = recipe.training.max_forgetting
    reasons, is_better, is_sure = [], True, False
    for row in rows:
        before, after = row["change"]["baseline"], row["change"]["system"]
        is_domain = row["text"] == "domain"
        is_better = is_better and (after > before if is_domain else after >= before - most)
        name, limit = limits[row["text"]]
        doubt = ""
        if is_domain:
            is_sure = row["change"]["p_value"] < _LEVEL
            doubt = "" if is_sure else "; a difference of this size can be chance, so accept more corrections"
        reasons.append(
            f"{name}: BLEU {before:.1f} before, {after:.1f} after ({counted(row['sentences'], 'sentence')}); it "
            f"{limit}{'' if is_domain else f'{most:g}'}{doubt}"
        )
    return is_better, is_sure, tuple(reasons)


def _write_origin(output: Path, model: Path, text: LearningText, rows: object, verdict: Mapping[str, object]) -> None:
    names = {"before": model, "after": output}
    weights = {name: read_description(find_model_folder(path)).weights_sha256 for name, path in names.items()}
    table = {
        "pellucid": __version__,
        "weights_sha256": weights,
        **verdict,
        "scores": rows,
        **{name: list(ids) for name, ids in asdict(text).items() if name in ("trained_on", "held_out")},
    }
    DISK.write_replacing(output / "learning.json", (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())


def _refuse_no_link(into: Path | None) -> None:
    if into is not None and into.exists() and not into.is_symlink():
        raise ConfigError(
            f"--into {into}: is a file or a folder, and only a link can be replaced in one step; make one (ln -s MODEL "
            "LINK), serve the link, and name it here"
        )


def _place(output: Path, into: Path) -> None:
    """Let a link lead to a folder. It stays absolute if it was: a relative one holds where its folder is mounted."""
    target = output.resolve()
    if not (into.is_symlink() and into.readlink().is_absolute()):
        target = Path(os.path.relpath(target, into.parent.resolve()))
    beside = into.with_name(f".{into.name}.{secrets.token_hex(4)}")
    beside.symlink_to(target)
    DISK.replace(beside, into)
