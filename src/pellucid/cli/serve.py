"""The verb ``serve``: the page that shows what happens inside a model, and the translation service."""

from __future__ import annotations

import logging
import os
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pellucid.cli.console import say, show
from pellucid.cli.options import DeviceOption, MemoryOption, ThreadsOption
from pellucid.errors import are, counted
from pellucid.terminal import line_of

if TYPE_CHECKING:
    from pellucid.config.service import ServiceConfig
    from pellucid.page.catalogue import Catalogue
    from pellucid.serving.service import Service

__all__ = ["serve"]

GlossaryOption = Annotated[
    list[str] | None,
    typer.Option("--glossary", help="A file of terms that requests can name, by its name without the ending."),
]
CorrectionsOption = Annotated[
    str | None, typer.Option(help="Write the corrections that clients send into this folder; refused if unset.")
]
NewKeyOption = Annotated[str | None, typer.Option(help="Make a key for a client of this name, show it once, and end.")]
TraceMemoryOption = Annotated[
    int, typer.Option(min=1, help="Memory for traces; when it is full, the oldest are dropped.")
]


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Model folders or run folders; if unset, the models that pellucid has."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with models, keys and limits of the translation service.")
    ] = None,
    memory: MemoryOption = None,
    glossary: GlossaryOption = None,
    corrections: CorrectionsOption = None,
    host: Annotated[
        str | None,
        typer.Option(help="The address to listen on; 127.0.0.1 if unset. Any other requires keys in --config."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port to listen on; if unset, 8642, or a free one if it is in use."),
    ] = None,
    insecure_public: Annotated[
        bool, typer.Option("--insecure-public", help="Let other machines use the page and the service without keys.")
    ] = False,
    new_key: NewKeyOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    trace_memory_mb: TraceMemoryOption = 256,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Look inside, and translate: serve the page of a model and its translation service, until Ctrl-C."""
    from pellucid.jobs import serve as job
    from pellucid.jobs.service.opening import open_service, refuse_unguarded, shows_page

    if new_key is not None:
        _show_new_key(new_key)
        return
    given: dict[str, object] = {"host": host, "port": port, "insecure_public": insecure_public or None}
    wanted = _configured(config, given | {"corrections": corrections}, memory=memory or [], glossary=glossary or [])
    refuse_unguarded(wanted)
    named = [*(Path(model.path) for model in wanted.models), *(models or [])]
    with job.listen(wanted.host, wanted.port) as taken:
        service = open_service(wanted, models or [], device=device, threads=threads, say=lambda t: say(line_of(t)))
        catalogue = None
        if shows_page(wanted):
            catalogue = job.open_catalogue(named, device=device, threads=threads, with_embedded=True)
        address = job.address_of(taken, wanted.host)

        def announce() -> None:
            _announce(catalogue, service, address, wanted)
            if open_ and catalogue is not None:
                webbrowser.open(address)

        serving = partial(job.serve, trace_memory_mb=trace_memory_mb, service=service, when_ready=announce)
        try:
            serving(catalogue, taken, host=wanted.host)
        except (KeyboardInterrupt, SystemExit) as end:
            _end(service, end)


def _end(service: Service | None, end: KeyboardInterrupt | SystemExit) -> NoReturn:
    """End the process; at once where a translation was not waited for.

    Python would otherwise end its threads inside of compiled code, which aborts the process with another status.
    """
    if isinstance(end, KeyboardInterrupt):
        say("stopped")
    status = end.code if isinstance(end, SystemExit) else 130
    if service is not None and service.is_translating:
        logging.shutdown()
        os._exit(status if isinstance(status, int) else 0)
    raise SystemExit(status) from None


def _configured(
    path: Path | None, given: dict[str, object], *, memory: list[str], glossary: list[str]
) -> ServiceConfig:
    from pellucid.config.service import ServedGlossary, ServedMemory, ServiceConfig
    from pellucid.jobs.service.opening import read_service_config

    config = read_service_config(path) if path is not None else ServiceConfig()
    given["memories"] = (*config.memories, *(ServedMemory(path=file) for file in memory))
    given["glossaries"] = (*config.glossaries, *(ServedGlossary(path=file) for file in glossary))
    return config.model_copy(update={name: value for name, value in given.items() if value is not None})


def _show_new_key(name: str) -> None:
    """Show a new key, which nothing stores, and the lines of the configuration that know it by its hash."""
    from pellucid.config.service import KeyConfig
    from pellucid.config.tables import to_toml, validated
    from pellucid.serving.access.keys import new_key, sha256_of

    key = new_key()
    table = validated(KeyConfig, {"name": name, "sha256": sha256_of(key)}, place="--new-key")
    say(f"the key of {name}, which is not shown again; give it to the client:")
    show(key)
    say("add these lines to the file of --config:")
    show(f"\n[[keys]]\n{to_toml(table)}".rstrip())


def _announce(catalogue: Catalogue | None, service: Service, address: str, config: ServiceConfig) -> None:
    """Report the models, who else can reach them, and the address."""
    from pellucid.serving.gate import is_loopback

    for model in catalogue.models if catalogue else ():
        steps = f", {counted(len(model.snapshot_steps), 'snapshot')}" if model.snapshot_steps else ""
        languages = f"{model.translator.source_language} → {model.translator.target_language}"
        say(line_of(f"{model.name}: {languages}{steps}"))
    for pair in () if catalogue else service.pool.pairs.values():
        say(line_of(f"{pair.name}: {pair.source} → {pair.target}"))
    if not is_loopback(config.host) and not service.clients.need_keys:
        say(
            f"warning: other machines can reach {config.host}, and anyone who reaches it can use these models and read "
            "everything in them; there is no password"
        )
    keys = f"; {counted(len(config.keys), 'key')} {are(len(config.keys))} valid" if config.keys else ""
    say(f"translate: {address}translator (a page), {address}v1/translate, {address}translate (LibreTranslate){keys}")
    why = " with keys or names unless page = true" if config.page is None and is_loopback(config.host) else ""
    what = "look inside" if catalogue is not None else f"the page that shows the inside is off{why}; the service is at"
    say(f"{what}: {address}   (Ctrl-C stops it)")
