"""Settings of the translation service of ``pellucid serve``, read from one TOML file. Read ``tables.py`` next."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pellucid.config.section import Section

__all__ = ["KeyConfig", "ServedGlossary", "ServedMemory", "ServedModel", "ServiceConfig", "ServiceLimits"]


class ServedModel(Section):
    """A model of the service."""

    path: str
    """A model folder or a run folder; a relative path starts at the folder of this file."""
    source: str = ""
    """Code of the source language; if empty, the model folder's."""
    target: str = ""
    """Code of the target language; if empty, the model folder's."""
    settings: tuple[str, ...] = ()
    """Settings of `[translation]` for this model, such as `"beam_size=2"`."""


class ServedMemory(Section):
    """A translation memory of the service: exact matches are the translation, similar units are shown."""

    path: str
    """A file or a pattern, in any format that training reads; a relative path starts at the folder of this file."""
    source: str = ""
    """Code of the source language; if empty, the memory is used for every model whose languages it has."""
    target: str = ""
    """Code of the target language, likewise."""


class ServedGlossary(Section):
    """A glossary that requests can name."""

    name: str = ""
    """Name in requests; if empty, the name of the file without its ending."""
    path: str = ""
    """A file of terms: source form, target forms and forms to avoid, with tabs between them. A relative path starts at
    the folder of this file."""
    keep: tuple[str, ...] = ()
    """Words and phrases that stay as they are in a translation."""
    source: str = ""
    """Code of the source language; if empty, the glossary is for every language."""
    target: str = ""
    """Code of the target language, likewise."""


class KeyConfig(Section):
    """A key of a client. The file holds only its hash; `pellucid serve --new-key NAME` makes one."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")
    """Name of the client; logs and metrics do not show it."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the key, in hexadecimal digits."""
    characters_per_minute: int = Field(0, ge=0)
    """Limit of the text of this client; 0 is no limit."""


class ServiceLimits(Section):
    """Limits on the requests of all clients together, and on each."""

    queue_tokens: int = Field(65_536, ge=1)
    """Source tokens of all requests that wait or are being translated; more are refused with status 503."""
    queue_requests: int = Field(256, ge=1)
    """Requests that wait or are being translated."""
    batch_tokens: int = Field(256, ge=1)
    """Source tokens that a thread translates together; a longer sentence is a batch alone. All answers of a batch come
    at its end."""
    bulk_tokens: int = Field(1024, ge=1)
    """Requests with more source tokens wait behind smaller ones, except for every fifth batch."""
    body_bytes: int = Field(1 << 20, ge=1024)
    """Largest body of a request; DeepL's routes have at most 128 KiB."""
    texts: int = Field(128, ge=1)
    """Texts of a request."""
    characters: int = Field(10_000, ge=1)
    """Characters of a text."""
    alternatives: int = Field(10, ge=0)
    """Alternatives of a translation."""
    beam_size: int = Field(16, ge=1)
    """Largest beam that a request may ask for."""
    deadline_seconds: float = Field(20, gt=0)
    """Time for an answer, unless the request gives another in the header `X-Deadline-Seconds`."""
    longest_deadline_seconds: float = Field(60, gt=0)
    """Longest time that a request may ask for."""
    document_bytes: int = Field(32 << 20, ge=1024)
    """Largest document."""
    document_seconds: float = Field(600, gt=0)
    """Time for the translation of a document."""
    notice_seconds: float = Field(1, ge=0)
    """After SIGTERM, time in which `/readyz` says 503 and the server still accepts requests."""
    drain_seconds: float = Field(30, gt=0)
    """After that, time for the requests in progress."""


class ServiceConfig(Section):
    """The service: its models, who may use it, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on; other machines need keys, unless `insecure_public` is set."""
    port: int | None = Field(None, ge=0, le=65535)
    """Port to listen on; if unset, 8642, or a free one if it is in use."""
    names: tuple[str, ...] = ()
    """Names under which clients reach the server, besides `host` and the names of this machine."""
    page: bool | None = None
    """Serve the page that shows the inside, too. It shows everything of the models and asks for no key, so only this
    machine gets it, unless `insecure_public` is set. If unset, it is off with `keys` or `names`, because a proxy on
    this machine would show it to everyone."""
    insecure_public: bool = False
    """Serve other machines without keys."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may use the service from a browser; `"*"` is all."""
    model_memory_mb: int = Field(0, ge=0)
    """Limit of the weights in memory; models that were not used longest are closed first. 0 is no limit."""
    models: tuple[ServedModel, ...] = ()
    """The models; the first of two for the same languages is used."""
    corrections: str = ""
    """Folder of the corrections that clients send; if empty, they are refused, and no text is ever written. A relative
    path starts at the folder of this file."""
    corrections_mb: int = Field(64, ge=1)
    """Limit of their journal; when it is full, further ones are refused."""
    memories: tuple[ServedMemory, ...] = ()
    """Translation memories; every client sees what they hold."""
    glossaries: tuple[ServedGlossary, ...] = ()
    """Glossaries that every client can name."""
    glossary_folder: str = ""
    """Folder of the glossaries that clients make by DeepL's protocol; if empty, they are in memory until the server
    ends. A relative path starts at the folder of this file."""
    keys: tuple[KeyConfig, ...] = ()
    """The clients; without any, everyone who reaches the server may use it."""
    limits: ServiceLimits = ServiceLimits()
    """Limits on requests."""

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        for what in ("name", "sha256"):
            values = [getattr(key, what) for key in self.keys]
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise ValueError(f"two keys have the {what} {twice!r}; give each key its own")
        return self
