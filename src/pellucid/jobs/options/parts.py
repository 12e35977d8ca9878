"""How a long file is translated in parts. Read ``../bulk/files.py`` next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pellucid.errors import ConfigError

__all__ = ["CHUNK_LINES", "PATIENCE_SECONDS", "PartsOptions"]

CHUNK_LINES: Final = 1024
"""Lines that are read before their translations are written: they share batches."""
PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class PartsOptions:
    """Options of a translation from a file to a file."""

    chunk_lines: int = CHUNK_LINES
    restart: bool = False
    """Discard the finished parts that an earlier call left."""
    keeps: bool = False
    """Leave the finished parts when the output is written, for a caller that has still to bring it somewhere."""
    together: float | None = None
    """Seconds without a sign of life until a process counts as ended, where several work together; else None."""

    def refuse_misfits(self, *, is_in_parts: bool) -> None:
        """Refuse options of parts where there are none, and those that do not fit several processes."""
        if not is_in_parts and (self.restart or self.together is not None):
            what = "--restart discards" if self.restart else "--together shares"
            raise ConfigError(f"{what} the parts of a file that is translated to --output; there are none here")
        if self.together is not None and self.restart:
            raise ConfigError(
                "--restart would discard the parts of other processes; with --together, remove the folder OUTPUT.parts "
                "before any of them begins"
            )
        if self.together is not None and not self.together > 0:
            raise ConfigError(f"--patience {self.together:g}: give seconds, more than 0")
