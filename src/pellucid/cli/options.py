"""Options that several verbs have, each with its help. Read ``main.py`` next."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Engine", "Precision"]

Engine = Annotated[
    str, typer.Option(help="auto, native (a C file compiled for this machine; auto on a processor), or torch.")
]
Precision = Annotated[
    str, typer.Option(help="auto, int8 (weights rounded to 8 bits; auto of native), or fp32 (exact).")
]
