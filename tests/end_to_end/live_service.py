"""A service on a real socket of this machine, as long as a block runs."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pellucid.config.service import ServiceConfig
from pellucid.jobs.serve import address_of, listen, server_of
from pellucid.jobs.service.opening import open_service
from pellucid.serving.connections import Limits
from pellucid.serving.service import Service

__all__ = ["listening", "running", "wait_until_ready"]


@contextmanager
def running(config: ServiceConfig) -> Iterator[str]:
    """Serve the models of a configuration; the address has a slash at its end."""
    service = open_service(config, threads=1)
    service.start()
    with listening(service) as address:
        yield address


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """Serve in a thread; the address has a slash at its end."""
    with listen("127.0.0.1", 0) as taken:
        server = server_of(None, host="127.0.0.1", limits=Limits(), service=service)
        thread = threading.Thread(target=lambda: server.run(sockets=[taken]), daemon=True)
        thread.start()
        address = address_of(taken, "127.0.0.1")
        wait_until_ready(address)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()
            service.end()


def wait_until_ready(address: str) -> None:
    """Wait until the models of a service are open."""
    for _ in range(3000):
        try:
            urllib.request.urlopen(f"{address}readyz", timeout=600).close()
            return
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            time.sleep(0.02)
    pytest.fail("the service is not ready")
