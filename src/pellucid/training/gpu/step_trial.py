"""Try ways of making steps on made-up batches: compare their numbers with the plain steps, and time them.

The batches have three shapes, and each shape comes four times in turn with the others, so that graphs are not only
captured but replayed. Twelve updates without dropout must give the losses, the norms of the gradients, the weights and
the averages of plain steps, within ``TOLERANCES``. With dropout, two steps at rate 0 on the same batch must differ: a
replay that draws the same masks again would not show otherwise. Then real steps are timed. Read ``updater.py`` next.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.config import BatchType, ModelConfig, StepMethod, TrainingConfig
from pellucid.model.transformer import Transformer
from pellucid.runtime import Precision, Runtime, is_lack_of_memory, keeping_memory
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import BatchStream
from pellucid.training.gpu.attention_choice import chosen_attention
from pellucid.training.gpu.step_choice import Finding, Trial
from pellucid.training.gpu.updater import StaticUpdater, step_maker
from pellucid.training.inputs import RunInputs, stream_of
from pellucid.training.optimisation import make_optimiser
from pellucid.training.reporter import SilentReporter
from pellucid.training.update import Launched, StepMaker, StepOutcome

if TYPE_CHECKING:
    from pellucid.text.store import TokenStore
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["TOLERANCES", "MadeUpStore", "Maker", "findings_of", "main"]

TOLERANCES: Final = {Precision.FP32: 0.01, Precision.BF16: 0.2}
"""Of the relative difference of losses and norms, and of the distance between two results, weights or averages, as a
share of the way that plain steps went. Plain steps in bf16 round elsewhere than static ones. A step that uses another
batch, or an update that is left out, differs by more."""
_LOSS_TOLERANCES: Final = {Precision.FP32: 1e-3, Precision.BF16: 0.02}
_LENGTHS: Final = (11, 18, 30)
"""Pieces of the longest sentence of each shape."""
_BATCHES: Final = 4
"""Of each shape."""
_RATE: Final = 1e-3
_EPSILON: Final = 1e-3
"""Of Adam, for the comparison: with a tiny one, rounding decides where a gradient is zero by nature."""
_SECONDS: Final = 0.5
"""Of the timed steps of each method."""
_MOST_ROUNDS: Final = 20

Maker = Callable[[RunInputs, torch.optim.Optimizer, MovingAverage, BatchStream], StepMaker]


def main() -> None:
    """Try the methods of the request in the first file, and append a line for each to the second."""
    request, answer = (Path(name) for name in sys.argv[1:3])
    table = json.loads(request.read_text(encoding="utf-8"))
    with answer.open("a", encoding="utf-8") as sink:
        for found in findings_of(Trial(**table | {"methods": tuple(table["methods"])})):
            sink.write(json.dumps(asdict(found)) + "\n")
            sink.flush()


def findings_of(trial: Trial, *, maker: Maker | None = None) -> Iterator[Finding]:
    """Yield what is found about plain steps and then about each method; end with the first that fails."""
    runtime = Runtime(**trial.runtime | {"precision": Precision(trial.runtime["precision"])})
    runtime.apply()
    model = ModelConfig.model_validate(trial.model)
    config = TrainingConfig.model_validate(trial.training)
    with keeping_memory(runtime.device), chosen_attention(model, runtime, message=lambda _: None):
        bench = _Bench(model, config, runtime, maker or _usual_maker)
        for method in (StepMethod.EAGER, *map(StepMethod, trial.methods)):
            try:
                found = bench.finding(method)
            except (RuntimeError, MemoryError) as error:
                reason = "memory is too small" if is_lack_of_memory(error) else str(error).strip().partition("\n")[0]
                found = Finding(method, problem=f"failed with {reason or type(error).__name__}", has_failed=True)
            yield found
            if found.has_failed:
                return


def _usual_maker(
    inputs: RunInputs, optimiser: torch.optim.Optimizer, average: MovingAverage, stream: BatchStream
) -> StepMaker:
    return step_maker(inputs, optimiser=optimiser, average=average, stream=stream, message=lambda _: None)


@dataclass(frozen=True)
class _Trace:
    """The numbers of some updates; ``way`` is the way that weights went, and ``average`` that of the averages."""

    losses: Tensor
    norms: Tensor
    way: Tensor
    average: Tensor

    def problem_of(self, other: _Trace, precision: Precision) -> str:
        """Return by how much another trace differs from this one, or an empty text if it is within the tolerances."""
        tolerance = TOLERANCES[precision]
        shares = {
            "losses": (_relative(self.losses, other.losses), _LOSS_TOLERANCES[precision]),
            "norms of gradients": (_relative(self.norms, other.norms), tolerance),
            "weights": (_distance(self.way, other.way), tolerance),
            "averages": (_distance(self.average, other.average), tolerance),
        }
        parts = [f"{name} by {share:.2%}" for name, (share, limit) in shares.items() if not share <= limit]
        return f"disagrees with plain steps: {', '.join(parts)}" if parts else ""


def _relative(reference: Tensor, other: Tensor) -> float:
    return float(((other - reference).abs() / reference.abs()).max())


def _distance(reference: Tensor, other: Tensor) -> float:
    length = float(reference.norm())
    return float((other - reference).norm()) / length if length else float(other.norm())


def _without_chance(model: ModelConfig, config: TrainingConfig) -> dict[str, float]:
    """Return regularisers whose numbers can be compared: no word dropout, and SimCut that cuts every word.

    R-Drop becomes SimCut, because without dropout its passes are equal, and a wrong divergence would be 0, too. A model
    without a vector of zeros knows R-Drop only.
    """
    passes = config.r_drop or config.simcut
    changes = {"simcut": passes, "simcut_cutoff": 1.0, "r_drop": 0.0}
    return {
        "source_word_dropout": 0.0,
        "target_word_dropout": 0.0,
        **(changes if model.zero_padding_row else {"simcut": 0.0, "r_drop": passes}),
    }


class _Bench:
    """The batches, and the traces with which methods are compared."""

    def __init__(self, model: ModelConfig, config: TrainingConfig, runtime: Runtime, maker: Maker) -> None:
        self._model = model
        self._config = config.model_copy(update=_without_chance(model, config))
        self._runtime = runtime
        self._maker = maker
        self._plain: _Trace | None = None
        self._has_dropout = any((model.dropout, model.attention_dropout, model.activation_dropout))
        self.store = MadeUpStore(model, rows_of=lambda length: _rows(config, length))

    def finding(self, method: StepMethod) -> Finding:
        """Compare and time a method."""
        run = _ShortRun(self, method, drops=False)
        trace = run.trace()
        if run.trouble:
            return Finding(method, problem=f"failed: {run.trouble}", has_failed=True)
        self._plain = self._plain or trace
        if problem := self._plain.problem_of(trace, self._runtime.precision):
            return Finding(method, problem=problem)
        del run
        timed = _ShortRun(self, method, drops=True)
        timed.warm_up()
        if self._has_dropout and timed.repeats_itself():
            return Finding(method, problem="draws the same numbers of dropout at every step")
        milliseconds = timed.milliseconds()
        if timed.trouble:
            return Finding(method, problem=f"failed: {timed.trouble}", has_failed=True)
        return Finding(method, milliseconds)

    def inputs(self, method: StepMethod, *, drops: bool) -> RunInputs:
        """Return a run of a new model that makes its steps by a method."""
        torch.manual_seed(1)
        rates = {} if drops else {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
        changes = {"step_method": method, "max_epochs": None, "train_steps": 1}
        return RunInputs(
            model=Transformer(self._model.model_copy(update=rates)).to(self._runtime.torch_device()).train(),
            store=cast("TokenStore", self.store),
            valid_store=cast("TokenStore", self.store),
            tokenizer=cast("Tokenizer", None),
            config=self._config.model_copy(update=changes | ({} if drops else {"adam_epsilon": _EPSILON})),
            runtime=self._runtime,
            run_folder=Path(),
            settings={},
            reporter=SilentReporter(),
        )

    def maker_of(self, inputs: RunInputs, optimiser: torch.optim.Optimizer, average: MovingAverage) -> StepMaker:
        """Return what makes the steps."""
        return self._maker(inputs, optimiser, average, stream_of(inputs))


class _ShortRun:
    """Some updates of a new model by one method, with outcomes read as late as the training loop reads them."""

    def __init__(self, bench: _Bench, method: StepMethod, *, drops: bool) -> None:
        inputs = bench.inputs(method, drops=drops)
        self._model = inputs.model
        self._plan = bench.store.plan
        self._average = MovingAverage(inputs.model, decay=inputs.config.average_decay, tail=inputs.config.average_tail)
        optimiser = make_optimiser(inputs.model, config=inputs.config)
        self._maker = bench.maker_of(inputs, optimiser, self._average)
        self._updates = 0

    @property
    def trouble(self) -> str:
        """Why the method was given up on the way; empty if it was not."""
        return self._maker.trouble if isinstance(self._maker, StaticUpdater) else ""

    def trace(self) -> _Trace:
        """Make the updates of the plan and return their numbers."""
        before = [_flat(model) for model in (self._model, self._average.model)]
        outcomes = self._updated()
        after = [_flat(model) for model in (self._model, self._average.refresh())]
        losses, norms = (
            torch.tensor([getattr(outcome, name) for outcome in outcomes], dtype=torch.float64)
            for name in ("loss", "gradient_norm")
        )
        way, average = (now - then for now, then in zip(after, before, strict=True))
        return _Trace(losses, norms, way, average)

    def warm_up(self) -> None:
        """Make the updates of the plan, so that every shape is known."""
        self._updated()

    def repeats_itself(self) -> bool:
        """Return whether steps at rate 0 on the same batch have exactly the same losses, so the same dropout."""
        outcomes = self._updated(2 * self._plan[:1], rate=0.0)
        return len({outcome.loss for outcome in outcomes}) == 1

    def milliseconds(self) -> float:
        """Return the time of a step: the least mean of a round, because other programs only make a step slower."""
        rounds: list[float] = []
        began = time.perf_counter()
        while not rounds or (len(rounds) < _MOST_ROUNDS and time.perf_counter() - began < _SECONDS):
            start = time.perf_counter()
            self._updated()
            rounds.append((time.perf_counter() - start) / len(self._plan))
        return 1000 * min(rounds)

    def _updated(self, plan: Sequence[NDArray[np.int64]] | None = None, *, rate: float = _RATE) -> list[StepOutcome]:
        begun: deque[Launched] = deque()
        outcomes: list[StepOutcome] = []
        for rows in plan or self._plan:
            begun.append(self._maker.launch([rows], learning_rate=rate, largest_batch=None))
            while len(begun) > self._maker.lag:
                outcomes.append(self._settled(begun.popleft()))
        return [*outcomes, *(self._settled(launched) for launched in begun)]

    def _settled(self, launched: Launched) -> StepOutcome:
        outcome = launched.outcome()
        self._updates += not outcome.skipped
        if not launched.is_averaged and not outcome.skipped:
            self._average.update(self._updates)
        return outcome


def _flat(model: Transformer) -> Tensor:
    return torch.cat([parameter.detach().double().flatten().cpu() for parameter in model.parameters()])


def _rows(config: TrainingConfig, length: int) -> int:
    """Return the sentences of a batch of the run's size; ``length`` is without the end of sentence."""
    size = config.known_batch_size
    return size if config.batch_type is BatchType.SENTENCES else max(1, size // (length + 1))


class MadeUpStore:
    """Sentences of random pieces. ``plan`` has the rows of the batches in order: the shapes take turns."""

    def __init__(self, model: ModelConfig, *, rows_of: Callable[[int], int]) -> None:
        generator = np.random.default_rng(1)
        lengths = [min(length, model.max_positions - 1) for length in _LENGTHS]
        groups: Sequence[int] = [length for _ in range(_BATCHES) for length in lengths]
        sides: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
        plan: list[NDArray[np.int64]] = []
        for longest in groups:
            count = rows_of(longest)
            plan.append(np.arange(count) + len(sides[0]))
            for side, vocabulary in zip(sides, (model.source_vocab_size, model.target_vocab_size), strict=True):
                sizes = generator.integers(max(1, longest * 3 // 4), longest + 1, size=count)
                sizes[0] = longest
                side += [generator.integers(min(4, vocabulary - 1), vocabulary, size=size) for size in sizes]
        self.plan = plan
        self._sources, self._targets = sides
        self.source_lengths, self.target_lengths = (
            np.array([len(ids) for ids in side], dtype=np.int32) for side in sides
        )
        self.source_ids, self.target_ids = (np.concatenate(side) for side in sides)

    def __len__(self) -> int:
        return len(self._sources)

    def source(self, row: int) -> NDArray[np.int64]:
        """Return the ids of a source sentence."""
        return self._sources[row]

    def target(self, row: int) -> NDArray[np.int64]:
        """Return the ids of a target sentence."""
        return self._targets[row]
