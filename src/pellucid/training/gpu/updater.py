"""Make steps on a GPU without waiting for them: the loop reads the outcome of a step while the next one runs.

``step_maker`` decides how a run makes its steps and says so. The static way needs one process, one batch a step and
fused Adam; otherwise, and on a processor, ``training.update`` makes the steps. If memory is too small for a batch, the
static way ends, its graphs are freed, and ``training.update``, which can cut a batch in two, makes the rest of the
steps. Read ``../trainer.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final, cast

import numpy as np
import torch

from pellucid.config import StepMethod, TrainingConfig
from pellucid.errors import ConfigError, counted
from pellucid.runtime import is_lack_of_memory
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import BatchStream
from pellucid.training.gpu.compiling import compile_layers, pays, uncompile_layers
from pellucid.training.gpu.graphs import StepRunner
from pellucid.training.gpu.shapes import AnyShape, ShapeGrid, positions_of
from pellucid.training.gpu.step import StaticStep
from pellucid.training.gpu.step_choice import choose_steps, way_of_run
from pellucid.training.inputs import RunInputs
from pellucid.training.packed.gradients import choose_packed
from pellucid.training.update import Launched, StepMaker, StepOutcome, Updater, reason_to_skip

__all__ = ["StaticUpdater", "step_maker"]

_LAG: Final = 1


def step_maker(
    inputs: RunInputs,
    *,
    optimiser: torch.optim.Optimizer,
    average: MovingAverage,
    stream: BatchStream,
    message: Callable[[str], None],
    grid: ShapeGrid | None = None,
) -> StepMaker:
    """Return the way to make steps that ``training.step_method`` asks for; on a GPU, say which one it is.

    ``grid`` is that of the run in the folder, if its checkpoint has one.

    Raises:
        ConfigError: this run cannot be made in the way that is asked for.
    """
    config, runtime = inputs.config, inputs.runtime
    is_gpu = runtime.device.startswith("cuda")
    packed = choose_packed(
        inputs.model,
        config=config,
        runtime=runtime,
        keeps=way_of_run(inputs.run_folder, runtime),
        message=message,
    )
    plain = Updater(
        inputs.model,
        optimiser,
        stream=stream,
        config=config,
        runtime=runtime,
        ranks=inputs.ranks,
        message=message,
        packed=packed,
    )
    obstacle = _obstacle(optimiser, config, inputs.ranks.count)
    method = config.step_method
    if method is StepMethod.AUTO:
        method = _method_of_auto(inputs, obstacle, stream, message) if is_gpu else StepMethod.EAGER
    if method is StepMethod.EAGER or packed is not None:
        return plain
    if obstacle:
        raise ConfigError(f"training.step_method = {str(method)!r} is not possible: {obstacle}; use 'auto' or 'eager'")
    if method is StepMethod.GRAPH and not is_gpu:
        raise ConfigError(
            f"training.step_method = 'graph', but device = {runtime.device!r} has no graphs; use 'auto', 'static' or "
            "'eager'"
        )
    step = StaticStep.of_run(
        inputs,
        optimiser=cast(torch.optim.AdamW, optimiser),
        average=average,
        is_packed=method is StepMethod.PACKED,
    )
    return StaticUpdater(step, plain, inputs=inputs, stream=stream, method=method, message=message, grid=grid)


def _method_of_auto(
    inputs: RunInputs, obstacle: str, stream: BatchStream, message: Callable[[str], None]
) -> StepMethod:
    """Return the method of a trial on this GPU, and say why it is the one."""
    if obstacle:
        message(f"steps: eager, because {obstacle}")
        return StepMethod.EAGER
    is_long = pays(inputs.config, inputs.model, batches_per_epoch=stream.batches_of_first_epoch())
    choice = choose_steps(inputs, may_compile=is_long)
    message(choice.to_text())
    return choice.method


def _obstacle(optimiser: torch.optim.Optimizer, config: TrainingConfig, num_ranks: int) -> str:
    """Return why steps cannot be static, or an empty text."""
    if num_ranks > 1:
        return f"{counted(num_ranks, 'process')} add their gradients between the parts of a step"
    if config.accum_count > 1:
        return f"accum_count = {config.accum_count} adds the gradients of several batches"
    if config.samples_subwords:
        return "subword sampling changes the text on the host in each epoch"
    if type(optimiser) is not torch.optim.AdamW or not all(group["fused"] for group in optimiser.param_groups):
        return f"optimizer = {str(config.optimizer)!r} cannot leave a step out on the device"
    return ""


class StaticUpdater:
    """Makes static steps; ``launch`` returns while the step runs."""

    def __init__(
        self,
        step: StaticStep,
        plain: Updater,
        *,
        inputs: RunInputs,
        stream: BatchStream,
        method: StepMethod,
        message: Callable[[str], None],
        grid: ShapeGrid | None = None,
    ) -> None:
        device = inputs.runtime.torch_device()
        self._step = step
        self._plain = plain
        self._store = inputs.store
        self._message = message
        self._device = device
        self._is_gpu = device.type == "cuda"
        lengths = inputs.store.source_lengths, inputs.store.target_lengths
        is_packed = method is StepMethod.PACKED
        self._grid = grid or ShapeGrid.for_batches(stream.first_epoch(), *lengths, is_packed=is_packed)
        self.grid: ShapeGrid | None = self._grid
        self._is_compiled = method is StepMethod.COMPILED
        if self._is_compiled:
            compile_layers(step.computing, message=message)
        captures = self._is_gpu and method is not StepMethod.STATIC
        self._runner = StepRunner(step, device=device, captures=captures, message=self._give_up)
        self._is_static = True
        self.trouble = ""
        """What was given up during the run, and why; empty if nothing was."""
        self.method = {StepMethod.COMPILED: "static, compiled", StepMethod.PACKED: "static, packed"}.get(
            method, "static"
        )
        self.lag = _LAG
        how = "one graph for each shape" if captures else "without graphs"
        message(
            f"steps: {self.method}, {how}; {self._grid.to_text()}; "
            f"{step.corpus.to_text()}; outcomes are read one step late"
        )

    def launch(
        self,
        rows: Sequence[np.ndarray],
        *,
        learning_rate: float,
        largest_batch: int | None,
        seeds: Sequence[int] | None = None,
    ) -> Launched:
        """Begin a step on one batch."""
        if self._is_static and largest_batch is not None:
            self._end("an earlier part of this run cut a batch in two")
        if self._is_static:
            try:
                return self._launch_compiled(rows[0], learning_rate)
            except (RuntimeError, MemoryError) as error:
                if not is_lack_of_memory(error):
                    raise
            self._end("memory is too small for a batch")
        return self._plain.launch(rows, learning_rate=learning_rate, largest_batch=largest_batch)

    def _launch_compiled(self, rows: np.ndarray, learning_rate: float) -> Launched:
        """Begin a step; if the layers cannot be compiled on this machine, say so and do without."""
        if not self._is_compiled:
            return self._launch(rows, learning_rate)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._launch(rows, learning_rate)
        except TorchDynamoException as error:
            self._give_up(
                f"the layers cannot be compiled here ({str(error).strip().splitlines()[0]}); they run as they are "
                "written, with the same result and more slowly. training.step_method = 'graph' does not try"
            )
        self._is_compiled = False
        uncompile_layers(self._step.computing)
        return self._launch(rows, learning_rate)

    def _launch(self, rows: np.ndarray, learning_rate: float) -> Launched:
        source_lengths, target_lengths = self._store.source_lengths, self._store.target_lengths
        shape = self._grid.shape_of(rows, source_lengths, target_lengths)
        self._step.adopt_optimiser()
        # Streams and events belong to the current device, which need not be that of the run.
        with torch.cuda.device(self._device) if self._is_gpu else nullcontext():
            self._runner.run(rows, shape, learning_rate=learning_rate)
            read = self._results()
        target_tokens = int(target_lengths[rows].sum()) + len(rows)
        return Launched(lambda: _outcome(read(), shape, target_tokens), is_averaged=True)

    def _results(self) -> Callable[[], list[float]]:
        """Return a function that waits for the results of the step just launched, and for nothing after it."""
        if not self._is_gpu:
            numbers: list[float] = self._step.results.tolist()
            return lambda: numbers
        host = torch.empty(3, dtype=torch.float64, pin_memory=True)
        host.copy_(self._step.results, non_blocking=True)
        is_done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        is_done.record()

        def read() -> list[float]:
            is_done.synchronize()
            values: list[float] = host.tolist()
            return values

        return read

    def _give_up(self, text: str) -> None:
        self.trouble = text
        self._message(text)

    def _end(self, reason: str) -> None:
        """Make the rest of the steps in the plain way."""
        self._give_up(f"{reason}: from now on steps are eager, which can cut a batch and is slower")
        self._is_static = False
        self.lag = 0
        self._runner.free()
        self._step.release_optimiser()


def _outcome(numbers: Sequence[float], shape: AnyShape, target_tokens: int) -> StepOutcome:
    loss, likelihood, norm = numbers
    return StepOutcome(
        loss / target_tokens,
        likelihood / target_tokens,
        norm,
        target_tokens,
        max(positions_of(shape)),
        reason_to_skip(loss, norm),
        None,
    )
