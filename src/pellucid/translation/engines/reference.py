"""The torch engine of a translator, which is opened when something needs it; until then torch is not imported.

Read ``translator.py`` next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.translation.engines.torch_engine import TorchEngine

__all__ = ["LaterModel", "Reference"]


@dataclass(frozen=True)
class LaterModel:
    """A Transformer that is read when something needs it; until then an engine translates without torch."""

    read: Callable[[], Transformer]
    """Called at most once by a translator and those that ``with_settings`` makes of it; in evaluation mode."""
    max_length: int
    """Its ``max_positions``."""


class Reference:
    """The torch engine of a translator and of those that ``with_settings`` makes of it; opened once, by any of them."""

    def __init__(self, open_engine: Callable[[], TorchEngine]) -> None:
        self._open = open_engine
        self._lock = threading.Lock()
        self._opened: TorchEngine | None = None

    def __call__(self) -> TorchEngine:
        """Return the engine; open it first if this is the first call."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened
