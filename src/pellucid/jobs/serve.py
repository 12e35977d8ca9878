"""Open models for the page, and serve it with the translation service. ``service/`` opens that."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pellucid.bundle import Bundle, find_model_folder, open_model_folder, read_model
from pellucid.errors import BundleError, ConfigError
from pellucid.jobs.models import EngineName, open_translator, translator_of, translators_over
from pellucid.page.catalogue import Catalogue, OpenedModel, Place, open_model
from pellucid.runtime import Runtime
from pellucid.sample.embedded import DIRECTIONS, direction_of, has_embedded
from pellucid.signals import RaiseOnSigterm

if TYPE_CHECKING:
    from pellucid.jobs.service.running import DrainingServer
    from pellucid.model.transformer import Transformer
    from pellucid.serving.connections import Limits
    from pellucid.serving.service import Service

__all__ = [
    "USUAL_PORT",
    "InsideOptions",
    "address_of",
    "demo_folders",
    "listen",
    "most_open_files",
    "open_catalogue",
    "serve",
    "stamp_of",
    "walkthrough_folder",
]

USUAL_PORT: Final = 8642
_WALKTHROUGH: Final = Path(__file__).parents[1] / "sample" / "walkthrough"
_SECONDS_BETWEEN_REQUESTS: Final = 5
"""An idle connection is closed after this time."""
_SECONDS_FOR_THE_LAST_ANSWERS: Final = 3
_MOST_NOT_ACCEPTED: Final = 128
_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000
_LARGEST_HEAD_BYTES: Final = 16 << 10
"""Limit on the headers of a request."""
_USUAL_OPEN_FILES: Final = 512


def walkthrough_folder() -> Path:
    """Return the folder of the model that comes with pellucid.

    Raises:
        BundleError: this installation has no such model.
    """
    if not _has_walkthrough():
        raise BundleError(
            f"{_WALKTHROUGH}: the walkthrough model is not part of this installation; train one in a few minutes with "
            "'pellucid demo' and open it with 'pellucid serve runs/demo'"
        )
    return _WALKTHROUGH


def demo_folders(run: Path) -> list[Path]:
    """Return the folders that ``pellucid demo --serve`` opens: the walkthrough model, and the run of the demo if any.

    Raises:
        BundleError: both are missing.
    """
    has_run = (run / "model" / "model.toml").is_file()
    return [walkthrough_folder(), run] if has_run and _has_walkthrough() else [run if has_run else walkthrough_folder()]


def open_catalogue(
    paths: Sequence[Path], *, device: str = "auto", threads: int = 0, with_embedded: bool = False
) -> Catalogue:
    """Open model folders and run folders, or the walkthrough model if none is given.

    ``with_embedded`` adds the embedded translators to the walkthrough model; their weights are read on first use.

    Raises:
        BundleError: one of them has no usable model.
    """
    wanted = list(paths) or [walkthrough_folder()]
    opening = [partial(_opened, path, device=device, threads=threads) for path in wanted]
    places = [Place(partial(stamp_of, path), open_) for path, open_ in zip(wanted, opening, strict=True)]
    models = [open_() for open_ in opening]
    if with_embedded and not paths:
        models += _embedded_models(device=device)
    return Catalogue(models, make_translator=translator_of, places=places)


def _opened(path: Path, *, device: str, threads: int) -> OpenedModel:
    is_walkthrough = path.resolve() == _WALKTHROUGH.resolve()
    # What the page shows is what the model computed, so the model computes everything.
    translator = open_translator(path, device=device, threads=threads, engine=EngineName.TORCH)
    opened = open_model(translator, path, name="walkthrough" if is_walkthrough else "", is_walkthrough=is_walkthrough)
    direction = direction_of(path)
    return replace(opened, examples=direction.examples) if direction else opened


def stamp_of(path: Path) -> object:
    """Return what differs when another model is in a folder, as a save ends with a new description; None: none is."""
    try:
        facts = (find_model_folder(path) / "model.toml").stat()
    except (OSError, BundleError):
        return None
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size


@dataclass(frozen=True, kw_only=True)
class InsideOptions:
    """Options of a verb that looks inside; torch computes, so there is no engine to choose."""

    settings: Sequence[str] = ()
    device: str = "auto"
    threads: int = 0

    def open(self, model: Path | None, *, snapshot: int | None = None) -> OpenedModel:
        """Open a folder, or the snapshot of a step of its run; None is the walkthrough model.

        Raises:
            BundleError: the folder has no usable model, or one that settings cannot change.
            ConfigError: a setting is unknown or out of range.
            RequestError: there is no such snapshot.
        """
        catalogue = open_catalogue([model] if model else [], device=self.device, threads=self.threads)
        opened = catalogue.models[0]
        opened = opened if snapshot is None else catalogue.get(f"{opened.id}@{snapshot}")
        if not self.settings:
            return opened
        origin = opened.translator.origin
        if not isinstance(origin, Bundle):
            raise BundleError(f"{model}: is not a model folder, so --set has no effect; leave it out")
        return replace(opened, translator=translator_of(origin, settings=self.settings))


def _embedded_models(*, device: str) -> list[OpenedModel]:
    """Return the embedded translators, which share one model."""
    if not has_embedded():
        return []

    @cache
    def read() -> Transformer:
        return read_model(open_model_folder(paths[0]), device=Runtime.detect(device=device).device).model

    paths = [Path(name) for name in DIRECTIONS]
    translators = translators_over(read, paths)
    return [
        replace(open_model(translator, name=name), examples=direction.examples)
        for (name, direction), translator in zip(DIRECTIONS.items(), translators, strict=True)
    ]


def _has_walkthrough() -> bool:
    return any((_WALKTHROUGH / place).is_file() for place in ("model.toml", "model/model.toml"))


class _Listener(socket.socket):
    """A socket with a long queue of connections that are not accepted yet.

    asyncio uses one number for the length of this queue and for the connections that it accepts at once. The second
    must be small, because each accepted connection takes a descriptor before it can be refused; but with such a short
    queue, clients would wait a second before they try again.
    """

    def listen(self, backlog: int = _MOST_NOT_ACCEPTED, /) -> None:
        super().listen(_MOST_NOT_ACCEPTED)


def listen(host: str, port: int | None = None) -> socket.socket:
    """Listen on a given port; without one, on the usual port, or on a free one if that is in use.

    Raises:
        ConfigError: the host is unknown, or the port is in use or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {host}: is not an address of this machine ({error}); use 127.0.0.1") from None
    ports = [port] if port is not None else [USUAL_PORT, 0]
    for number in ports:
        # asyncio sends small packets at once only on sockets of this protocol. On others, the body of an answer waits
        # until a client acknowledges its head, which takes 40 ms on a connection that is kept.
        taken = _Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((address[0], number, *address[2:]))
            taken.listen()
        except (OSError, OverflowError) as error:
            taken.close()
            if getattr(error, "errno", None) == errno.EADDRINUSE and number != ports[-1]:
                continue
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"--host {host} --port {number}: {reason}; leave --port out to use a free one") from None
        return taken
    raise ConfigError(f"--host {host}: no port is free")


def address_of(taken: socket.socket, host: str) -> str:
    """Return the address of the page for a browser."""
    port = taken.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def serve(
    catalogue: Catalogue | None,
    taken: socket.socket,
    *,
    host: str,
    trace_memory_mb: int = 256,
    service: Service | None = None,
    when_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve the page and the service until a signal arrives; SIGTERM is a normal end.

    Args:
        catalogue: the models of the page; None: there is no page.
        taken: the listening socket, which is closed at the end.
        host: the address of the socket.
        trace_memory_mb: memory for traces; the least recently used are dropped first.
        service: the translation service, if any.
        when_ready: called when the server can answer requests.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after the answers in progress are sent.
        PellucidError: the service cannot translate any longer.
    """
    from pellucid.serving.connections import Limits

    # A refused request needs a connection, too, so there are more of them than the queue holds requests.
    wanted = 2 * service.limits.queue_requests if service is not None else 0
    limits = Limits.for_descriptors(most_open_files(), wanted=wanted)
    server = server_of(catalogue, host=host, trace_memory_mb=trace_memory_mb, limits=limits, service=service)
    # uvicorn raises SIGTERM again after it has closed.
    with taken, RaiseOnSigterm(lambda: SystemExit(0)), _rare_collections():
        if service is not None:
            service.start(follows=() if catalogue is None else (catalogue.refresh,))
        when_ready()
        server.run(sockets=[taken])
        server.raise_problem()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for unreachable cycles after 20,000 new objects: after 700, it takes a tenth of a request.

    It does not look at what is there already: that takes 150 ms, in which nobody is answered.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *usual[1:])
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


def server_of(
    catalogue: Catalogue | None,
    *,
    host: str,
    limits: Limits,
    trace_memory_mb: int = 256,
    service: Service | None = None,
) -> DrainingServer:
    """Return the server of some models; ``limits`` bounds its clients."""
    import uvicorn

    from pellucid.jobs.service.running import DrainingServer
    from pellucid.serving.app import create_app
    from pellucid.serving.connections import Connection, Connections

    app = create_app(catalogue, host=host, trace_memory_bytes=trace_memory_mb << 20, limits=limits, service=service)
    seconds = int(service.limits.drain_seconds) if service else _SECONDS_FOR_THE_LAST_ANSWERS
    config = uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], partial(Connection, Connections(limits))),
        log_config=None,  # the command line shows the log, at a bounded rate
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        backlog=limits.accepted_at_once,
        timeout_keep_alive=_SECONDS_BETWEEN_REQUESTS,
        timeout_graceful_shutdown=max(seconds, 1),
        h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
    )
    return DrainingServer(config, service)


def most_open_files() -> int:
    """Return the limit on the open files and connections of this process."""
    try:
        import resource
    except ImportError:  # not on Windows
        return _USUAL_OPEN_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
