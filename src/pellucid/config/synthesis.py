"""Settings of synthetic training text: which of the pairs that a model makes are kept.

Read ``recipe.py`` next.
"""

from __future__ import annotations

from pellucid.config.data import CleaningConfig, InvalidUtf8
from pellucid.config.section import Section

__all__ = ["SynthesisConfig"]


class SynthesisConfig(Section):
    """The filters of ``pellucid synthesize``. Dropped pairs are counted by reason."""

    cleaning: CleaningConfig = CleaningConfig()
    """The filters of training pairs, for the pairs that the model makes."""
    drop_flags: tuple[str, ...] = (
        "passed_through",
        "max_length",
        "dead_end",
        "repetition",
        "copy",
        "length",
        "unknown_output",
    )
    """Flags of a translation that drop its pair; the list of all flags is in the guide to translating."""
    invalid_utf8: InvalidUtf8 = InvalidUtf8.STRICT
    """The policy for lines that are not valid UTF-8 or contain a NUL character; a line that is too long is dropped."""
