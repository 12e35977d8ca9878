"""A stepper that stops when nobody waits for any of its sentences any longer. Read ``dropping.py`` for who says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from pellucid.errors import RequestError
from pellucid.translation.stepper import AttentiveStepper, Stepper

__all__ = ["StoppingStepper"]


class StoppingStepper:
    """Another stepper, with a look before each step.

    Args:
        stepper: the other one.
        is_wanted: whether somebody waits for one of its sentences.
    """

    def __init__(self, stepper: Stepper, is_wanted: Callable[[], bool]) -> None:
        self._stepper = stepper
        self._is_wanted = is_wanted
        self.vocab_size = stepper.vocab_size
        self.eos_id = stepper.eos_id
        self.max_length = stepper.max_length

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Read the source sentences."""
        self._look()
        self._stepper.start(source_ids)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Step as the other stepper does.

        Raises:
            RequestError: nobody waits for a result.
        """
        self._look()
        return self._stepper.step(last_ids)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._stepper.select(rows)

    def attention(self) -> Tensor | None:
        """Return the attention of the other stepper, if it has any."""
        return self._stepper.attention() if isinstance(self._stepper, AttentiveStepper) else None

    def _look(self) -> None:
        if not self._is_wanted():
            raise RequestError("nobody waits for this text any longer")
