"""The verb ``serve``: open the page that shows what happens inside a model."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.console import say
from pellucid.cli.options import DeviceOption, ThreadsOption
from pellucid.terminal import line_of

if TYPE_CHECKING:
    from pellucid.page.catalogue import Catalogue

__all__ = ["serve"]


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Model folders or run folders; if unset, the models that pellucid has."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; with any but the default, other machines have access.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port to listen on; if unset, 8642, or a free one if it is in use."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    trace_memory_mb: Annotated[
        int, typer.Option(min=1, help="Memory for traces; when it is full, the oldest are dropped.")
    ] = 256,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Look inside: serve the page that shows every number of a translation, until Ctrl-C."""
    from pellucid.jobs import serve as job
    from pellucid.serving.gate import is_loopback

    with job.listen(host, port) as taken:
        catalogue = job.open_catalogue(models or [], device=device, threads=threads, with_embedded=True)
        address = job.address_of(taken, host)

        def announce() -> None:
            _announce(catalogue, address, host if not is_loopback(host) else None)
            if open_:
                webbrowser.open(address)

        try:
            job.serve(catalogue, taken, host=host, trace_memory_mb=trace_memory_mb, when_ready=announce)
        except KeyboardInterrupt:
            say("stopped")
            raise SystemExit(130) from None


def _announce(catalogue: Catalogue, address: str, public_host: str | None) -> None:
    """Report the models, who else can reach them, and the address."""
    for model in catalogue.models:
        steps = f", {len(model.snapshot_steps)} snapshots" if model.snapshot_steps else ""
        languages = f"{model.translator.source_language} → {model.translator.target_language}"
        say(line_of(f"{model.name}: {languages}{steps}"))
    if public_host is not None:
        say(
            f"warning: other machines can reach {public_host}, and anyone who reaches it can use these models and read "
            "everything in them; there is no password"
        )
    say(f"look inside: {address}   (Ctrl-C stops it)")
