"""The training loop: steps until the budget is used up, with validations and checkpoints in between.

Callers use ``train``. Between two steps, one ``TrainingState`` and the tensors describe a run completely, and they
alone decide what happens next; so a stopped run continues as if it had never stopped. Read ``update.py`` for a step,
and ``archive.py`` for checkpoints and resumption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from signal import Signals

import numpy as np

from pellucid.config import DecayMethod
from pellucid.errors import DataError, InterruptedByUser, StoppedError, counted
from pellucid.runtime import keeping_memory
from pellucid.signals import StopSignals
from pellucid.training.archive import Archive
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import DataPosition
from pellucid.training.budget import Budget
from pellucid.training.gpu.attention_choice import chosen_attention
from pellucid.training.gpu.updater import step_maker
from pellucid.training.inputs import RunInputs, facts_of, probes_of, stream_of
from pellucid.training.optimisation import LATEST_DECAY_START, Progress, learning_rate_at, make_optimiser
from pellucid.training.probes import SNAPSHOT_STEPS, write_snapshot
from pellucid.training.processes.watchdog import Watchdog
from pellucid.training.reporter import (
    SavedRecord,
    SilentReporter,
    StartRecord,
    StepRecord,
    TrainingResult,
    ValidationRecord,
)
from pellucid.training.resuming import rate_jump, with_step_size
from pellucid.training.state import TrainingState, newest_state
from pellucid.training.update import Launched, StepOutcome, mixed_seed
from pellucid.training.validation import BLEU_SHARE, Scores, cost_in_steps, is_better, measure, with_general_before

__all__ = ["Trainer", "train"]

_FALLING_FROM_THE_WARM_UP = (DecayMethod.LINEAR_TO_ZERO, DecayMethod.COSINE_TO_ZERO)


def train(inputs: RunInputs) -> TrainingResult:
    """Train a model, or continue the run whose checkpoints are in the run folder.

    Raises:
        ConfigError: no length of the run is set.
        DataError: there is no pair to train or to validate on.
        IncompatibleModelError: the run in the folder has other settings or data.
        CheckpointError: the run in the folder has only damaged checkpoints.
        TrainingError: numbers stay non-finite, or memory is too small for one pair.
        StoppedError: SIGTERM, or a full disk; the same command continues.
        InterruptedByUser: Ctrl-C; the same command continues.
    """
    if not inputs.ranks.is_first:  # the first process reports for all
        inputs = replace(inputs, reporter=SilentReporter())
    with keeping_memory(inputs.runtime.device), ExitStack() as files, StopSignals() as signals:
        return Trainer(inputs, files).run(signals)


@dataclass(frozen=True)
class _Begun:
    """A step whose outcome is not read yet. ``state`` is that after the step, without the counts of the outcome."""

    launched: Launched
    state: TrainingState
    before: DataPosition
    rows: Sequence[np.ndarray]
    learning_rate: float
    fraction: float


class Trainer:
    """One run: its tensors, its state, and the loop. ``files`` closes what the run keeps open."""

    _warned_of_warmup = False

    def __init__(self, inputs: RunInputs, files: ExitStack) -> None:
        config = inputs.config
        if not len(inputs.store):
            raise DataError("there is no sentence pair to train on; see training.max_length and the cleaning report")
        self._inputs = inputs
        self._config = config
        first_lines: list[str] = []
        self._say: Callable[[str], None] = first_lines.append
        files.enter_context(chosen_attention(inputs.model.config, inputs.runtime, message=self._say))
        self._device = inputs.runtime.torch_device()
        self._model = inputs.model.to(self._device).train()
        self._average = MovingAverage(self._model, decay=config.average_decay, tail=config.average_tail)
        self._optimiser = make_optimiser(self._model, config=config, ranks=inputs.ranks)
        earlier = newest_state(inputs.run_folder / "checkpoints")
        known = earlier[0] if earlier else TrainingState()  # only for what is the same in the whole run
        self._stream = stream_of(inputs, batches_of_first_epoch=known.batches_of_first_epoch)
        self._steps = step_maker(
            inputs,
            optimiser=self._optimiser,
            average=self._average,
            stream=self._stream,
            message=lambda text: self._say(text),
            grid=known.shapes,
        )
        self._begun: deque[_Begun] = deque()
        self._archive = files.enter_context(
            Archive(
                inputs.run_folder,
                model=self._model,
                average=self._average,
                optimiser=self._optimiser,
                facts=facts_of(inputs, method=self._steps.method),
                config=config,
                message=self._tell,
                ranks=inputs.ranks,
                disk=inputs.disk,
            )
        )
        self._say = self._tell
        for text in first_lines:
            self._say(text)
        found = self._archive.resume(seed=config.seed)
        self._is_new = found is None
        state = with_step_size(found or TrainingState(), config=config, processes=inputs.ranks.count)
        batches = self._stream.batches_of_first_epoch()
        self._state = replace(state, batches_of_first_epoch=batches, shapes=self._steps.grid or state.shapes)
        self._budget = self._make_budget()
        self._watchdog = files.enter_context(Watchdog(config.hang_seconds, describe=self._describe_step))
        self._probes = probes_of(inputs) if inputs.ranks.is_first else None
        self._step_mark = self._budget.seconds()

    def _make_budget(self) -> Budget:
        inputs, of_a_step = self._inputs, self._state.batches_per_step
        batches = self._state.batches_of_first_epoch  # epochs differ, and resumption must not change the schedule
        return Budget(
            inputs.config,
            batches_per_epoch=batches,
            batches_per_step=of_a_step,
            steps_of_a_validation=cost_in_steps(inputs, batches_of_a_step=of_a_step, batches_of_an_epoch=batches),
            seconds_before=self._state.seconds + inputs.ranks.number_of_first(inputs.seconds_before),
            clock=inputs.ranks.agreed_clock(inputs.clock),
        )

    def run(self, signals: StopSignals) -> TrainingResult:
        """Train to the end of the budget, from the beginning or from the newest checkpoint."""
        with self._inputs.ranks.watching_others():
            return self._run(signals)

    def _run(self, signals: StopSignals) -> TrainingResult:
        self._begin()
        while (reason := self._budget.is_over(self._state)) is None or self._begun:
            due = self._due(signals) if reason is None else self._settle_all
            if due is None:
                with self._watchdog.watching():
                    self._step()
            elif self._begun:
                self._settle_all()  # and decide again: an outcome can lead back to a checkpoint
            else:
                due()
        return self._end(reason)

    def _due(self, signals: StopSignals) -> Callable[[], None] | None:
        """Return what has to happen before the next step, if anything."""
        received = self._inputs.ranks.from_first(lambda: signals.received.name if signals.received else "")
        if received:
            return lambda: self._stop(Signals[received])
        if self._budget.is_validation_due(self._state):
            return self._validate
        if self._archive.saved_step != self._state.step and self._budget.is_save_due(self._state):
            return self._save
        return None

    def _begin(self) -> None:
        self._inputs.reporter.started(
            StartRecord(
                first_step=self._state.step,
                seconds=self._budget.seconds(),
                num_parameters=sum(parameter.numel() for parameter in self._model.parameters()),
                num_pairs=len(self._inputs.store),
                batches_per_epoch=self._state.batches_of_first_epoch,
                train_steps=self._budget.steps,
                minutes=self._config.minutes,
                stop_at_exact_match=self._config.stop_at_exact_match,
            )
        )
        if text := rate_jump(self._archive.rate_of_another_length, self._rate_at(self._budget.progress(self._state))):
            self._say(text)
        if self._budget.is_decay_late() and self._budget.is_over(self._state) is None:
            self._warn_of_warmup()
        if self._is_new:
            self._state = replace(self._state, validated_seconds=self._budget.seconds())
            self._take_pictures()
            self._save()
        if self._inputs.validates_first and self._state.step == 0 and not self._state.validation:
            self._validate()
        self._step_mark = self._budget.seconds()

    def _step(self) -> None:
        before, config, ranks = self._state, self._config, self._inputs.ranks
        rows, position = self._stream.take(before.position, before.batches_per_step)
        progress = self._budget.progress(before)
        rate = self._rate_at(progress)
        mine = range(ranks.rank, len(rows), ranks.count)
        launched = self._steps.launch(
            [rows[number] for number in mine],
            learning_rate=rate,
            largest_batch=before.largest_batch,
            seeds=[mixed_seed(config.seed, progress.step, before.rollbacks, number) for number in mine],
        )
        warmup_end = before.warmup_end_fraction
        if warmup_end is None and progress.fraction >= LATEST_DECAY_START:
            self._warn_of_warmup()
        if warmup_end is None and progress.step >= config.warmup_steps:
            warmup_end = progress.fraction
        self._state = replace(before, step=progress.step, position=position, warmup_end_fraction=warmup_end)
        self._begun.append(_Begun(launched, self._state, before.position, rows, rate, progress.fraction))
        takes_pictures = progress.step in SNAPSHOT_STEPS
        while len(self._begun) > (0 if takes_pictures else self._steps.lag):
            self._settle()
        if takes_pictures and self._state.step == progress.step:
            self._take_pictures()

    def _describe_step(self) -> str:
        ranks = self._inputs.ranks
        return f"process {ranks.rank} of {ranks.count} (counted from 0): step {self._state.step + 1:,}"

    def _settle_all(self) -> None:
        while self._begun:
            self._settle()

    def _settle(self) -> None:
        """Read the outcome of the oldest step that has begun, and act on it."""
        begun, counts = self._begun.popleft(), self._state
        outcome = begun.launched.outcome()
        is_bad = bool(outcome.skipped)
        self._state = replace(
            counts,
            updates=counts.updates + (not is_bad),
            target_tokens=counts.target_tokens + outcome.target_tokens,
            bad_in_a_row=counts.bad_in_a_row + 1 if is_bad else 0,
            skipped_steps=counts.skipped_steps + is_bad,
            largest_batch=outcome.largest_batch,
        )
        place = begun.state  # a later step may have begun already
        state = replace(
            self._state, step=place.step, position=place.position, warmup_end_fraction=place.warmup_end_fraction
        )
        if not is_bad and not begun.launched.is_averaged:
            self._average.update(state.updates)
        self._report_step(outcome, begun, state)
        if is_bad:
            rows = [self._stream.rows_of_store(part) for part in begun.rows]
            self._archive.note_bad_step(state, begun.before, outcome.skipped, rows)
        if state.bad_in_a_row >= self._config.max_bad_steps:
            self._begun.clear()  # the checkpoint replaces the weights of later steps, and their data is used again
            self._state = replace(
                self._archive.roll_back(state),
                batches_per_step=state.batches_per_step,  # constants of the run, which old checkpoints do not have
                batches_of_first_epoch=state.batches_of_first_epoch,
                shapes=state.shapes,
            )

    def _rate_at(self, progress: Progress) -> float:
        rate = learning_rate_at(progress, config=self._config, d_model=self._model.config.d_model)
        return rate * self._state.rate_scale

    def _report_step(self, outcome: StepOutcome, begun: _Begun, state: TrainingState) -> None:
        now = self._budget.seconds()
        took = max(now - self._step_mark, 1e-9)
        self._step_mark = now
        self._budget.note_step(took)
        record = StepRecord(
            step=state.step,
            seconds=now,
            loss=outcome.loss,
            nll=outcome.nll,
            learning_rate=begun.learning_rate,
            gradient_norm=outcome.gradient_norm,
            target_tokens=outcome.target_tokens,
            tokens_per_second=outcome.target_tokens / took,
            padded_tokens_per_second=outcome.padded_tokens / took,
            epoch=state.position.epoch,
            fraction=begun.fraction,
            seconds_left=self._budget.seconds_left(state),
            skipped=outcome.skipped,
        )
        self._archive.journal.append("step", record.to_journal())
        self._inputs.reporter.stepped(record)

    def _validate(self, *, is_last: bool = False) -> None:
        inputs, started = self._inputs, self._budget.seconds()
        model, state = self._average.refresh(), self._state
        scores = Scores.from_text(
            inputs.ranks.from_first(lambda: measure(inputs, model, self._device, is_last=is_last).to_text())
        )
        numbers = with_general_before(scores.numbers, state.validation)
        better = is_better(
            numbers,
            state.best,
            by_exact_match=self._config.stop_at_exact_match is not None,
            max_forgetting=self._config.max_forgetting,
        )
        self._state = state = replace(
            state,
            validated_step=state.step,
            validation=numbers,
            best_step=state.step if better else state.best_step,
            best=numbers if better else state.best,
            without_better=0 if better else state.without_better + 1,
        )
        if self._probes is not None:
            self._probes.write(model, step=state.step)
            if better and inputs.on_new_best is not None:
                inputs.on_new_best(model, {"step": state.step, "seconds": started, **numbers})
        now = self._budget.seconds()
        self._state = replace(self._state, validated_seconds=now)
        self._budget.note_validation(now - started, share=numbers.get(BLEU_SHARE, 1.0))
        record = ValidationRecord(
            step=state.step,
            seconds=now,
            loss=numbers["loss"],
            nll=numbers["nll"],
            scores={name: value for name, value in numbers.items() if name not in {"loss", "nll"}},
            samples=scores.samples,
            is_best=better,
            without_better=state.without_better,
            took_seconds=now - started,
        )
        self._archive.journal.append("validation", asdict(record))
        inputs.reporter.validated(record)
        if inputs.judge is not None and inputs.ranks.is_first:
            self._archive.journal.flush()
            judgement = inputs.judge(self._archive.journal.path)
            self._archive.journal.append("judgement", judgement)
            inputs.reporter.message(str(judgement["text"]))
        if better:
            self._save()
        self._step_mark = self._budget.seconds()

    def _take_pictures(self) -> None:
        """Write a snapshot of the averaged weights, and their predictions for the probes."""
        if self._probes is None:
            return
        model = self._average.refresh()
        folder = self._inputs.run_folder / "snapshots"
        write_snapshot(folder, model, step=self._state.step, disk=self._inputs.disk)
        self._probes.write(model, step=self._state.step)

    def _save(self) -> None:
        started = self._budget.seconds()
        self._state = replace(self._state, seconds=started)
        folder, size = self._archive.save(self._state)
        took = self._budget.seconds() - started
        self._budget.note_save(took)
        self._inputs.reporter.saved(SavedRecord(self._state.step, folder, size, took))
        self._step_mark = self._budget.seconds()

    def _stop(self, received: Signals) -> None:
        if self._state.step != self._archive.saved_step:
            self._save()
        text = (
            f"stopped by {received.name} after step {self._state.step:,}; all is saved, and the same command continues"
        )
        raise (InterruptedByUser if received is Signals.SIGINT else StoppedError)(text)

    def _end(self, reason: str) -> TrainingResult:
        if self._state.validated_step != self._state.step:
            self._validate(is_last=True)
        if self._archive.saved_step != self._state.step:
            self._save()
        state = self._state
        return TrainingResult(
            steps=state.step,
            seconds=self._budget.seconds(),
            reason=reason,
            best=dict(state.best),
            best_step=state.best_step,
            # The next epoch is not ordered to count its batches, because no step may follow.
            epochs=state.position.epoch + min(1.0, state.position.batch / state.batches_of_first_epoch),
            target_tokens=state.target_tokens,
            skipped_steps=state.skipped_steps,
            rollbacks=state.rollbacks,
        )

    def _warn_of_warmup(self) -> None:
        if self._config.decay_method in _FALLING_FROM_THE_WARM_UP and not self._warned_of_warmup:
            self._warned_of_warmup = True
            whose = "the" if "warmup_steps" in self._config.model_fields_set else "the usual"
            self._say(
                f"{whose} warm-up of {counted(self._config.warmup_steps, 'step')} is over half of this run, so the "
                "learning rate falls before it reaches its peak; set training.warmup_steps lower for such a short run"
            )

    def _tell(self, text: str) -> None:
        self._archive.journal.append("message", {"text": text})
        self._inputs.reporter.message(text)
