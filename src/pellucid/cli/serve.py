"""The verb ``serve``: open the page that shows what happens inside a model."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.console import say
from pellucid.terminal import line_of

if TYPE_CHECKING:
    from pellucid.page.catalogue import Catalogue

__all__ = ["serve", "serve_models"]


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MODEL]...", help="Model folders or run folders; none is the walkthrough model."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; any but this one lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to listen; if unset 8642, or a free one where that is taken."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    trace_memory_mb: Annotated[int, typer.Option(min=1, help="Memory for traces; the oldest go first.")] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Look inside: serve the page that shows every number of a translation, until Ctrl-C."""
    serve_models(
        models or [],
        host=host,
        port=port,
        opens_browser=open_,
        trace_memory_mb=trace_memory_mb,
        device=device,
        threads=threads,
    )


def serve_models(
    models: list[Path],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    opens_browser: bool = False,
    trace_memory_mb: int = 256,
    device: str = "auto",
    threads: int = 0,
) -> None:
    """Open the models, say where the page is, and serve it."""
    from pellucid.jobs import serve as job
    from pellucid.serving.gate import is_loopback

    with job.listen(host, port) as taken:
        catalogue = job.open_catalogue(models, device=device, threads=threads)
        address = job.address_of(taken, host)

        def tell() -> None:
            _tell(catalogue, address, host if not is_loopback(host) else None)
            if opens_browser:
                webbrowser.open(address)

        try:
            job.serve(catalogue, taken, host=host, trace_memory_mb=trace_memory_mb, when_ready=tell)
        except KeyboardInterrupt:
            say("ended")
            raise SystemExit(130) from None


def _tell(catalogue: Catalogue, address: str, public_host: str | None) -> None:
    """Say what is served, who else can reach it, and where it is."""
    for model in catalogue.models:
        steps = f", {len(model.snapshot_steps)} snapshots" if model.snapshot_steps else ""
        languages = f"{model.translator.source_language} → {model.translator.target_language}"
        say(line_of(f"{model.name}: {languages}{steps}"))
    if public_host is not None:
        say(
            f"warning: {public_host} can be reached from other machines, and whoever reaches it can use these models "
            "and read all that is in them; there is no password"
        )
    say(f"look inside: {address}   (Ctrl-C ends it)")
