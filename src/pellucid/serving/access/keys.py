"""The clients of the service: each has a key, of which the server knows only the SHA-256, and a limit of characters.

Keys are random and long, so that their plain SHA-256 cannot be guessed. Read ``crossing.py`` next.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pellucid.config.service import KeyConfig
from pellucid.errors import are, counted
from pellucid.serving.refusals import Reason, Refusal

__all__ = ["KEY_FIELDS", "Client", "Clients", "new_key", "sha256_of"]

KEY_FIELDS: Final = ("api_key", "apiKey", "auth_key")
"""Fields of a request that may hold its key."""

_SCHEMES: Final = ("deepl-auth-key", "bearer")
_LONGEST_KEY: Final = 256


def new_key() -> str:
    """Return a new random key."""
    return secrets.token_urlsafe(32)


def sha256_of(key: str) -> str:
    """Return the hash under which the configuration knows a key."""
    return hashlib.sha256(key.encode("utf-8", errors="replace")).hexdigest()


@dataclass
class Client:
    """A client: its limit, what it may still use of it, and what it has used in all."""

    name: str
    characters_per_minute: int = 0
    _left: float = 0.0
    _since: float = -math.inf
    used_characters: int = 0

    def charge(self, characters: int, now: float) -> None:
        """Take characters from what the client may use; a minute refills all of it.

        Raises:
            Refusal: there are not as many left; nothing is taken.
        """
        limit = self.characters_per_minute
        if limit:
            left = min(limit, self._left + (now - self._since) * limit / 60) if math.isfinite(self._since) else limit
            if characters > limit:
                raise Refusal(
                    Reason.TOO_LARGE,
                    f"{counted(characters, 'character')} {are(characters)} over the {limit:,} of a "
                    "minute for this key; send less at once",
                )
            if characters > left:
                wait = math.ceil((characters - left) * 60 / limit)
                raise Refusal(
                    Reason.RATE,
                    f"the limit of this key is {limit:,} characters a minute; try again in {wait} s",
                    retry_after_seconds=wait,
                )
            self._left, self._since = left - characters, now
        self.used_characters += characters


class Clients:
    """All clients. Without keys, everyone is the same client without limits.

    Args:
        keys: of the configuration.
        clock: seconds that never go back.
    """

    def __init__(self, keys: Sequence[KeyConfig], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_hash = {key.sha256: Client(key.name, key.characters_per_minute) for key in keys}
        self._everyone = Client("everyone")

    @property
    def need_keys(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._by_hash)

    def client_of(self, headers: Mapping[str, str], fields: Mapping[str, object]) -> Client:
        """Return the client of a request by the key in its ``Authorization`` or in its fields; an empty one is none.

        Raises:
            Refusal: there is no key, or it is unknown.
        """
        if not self.need_keys:
            return self._everyone
        given = _given(headers, fields)
        if not given:
            raise Refusal(Reason.NO_KEY, "this server requires a key; its owner gives it to you")
        digest = sha256_of(given[:_LONGEST_KEY])
        # Every hash is compared, so that the time says nothing of the place.
        found = [client for known, client in self._by_hash.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise Refusal(Reason.WRONG_KEY, "the key is not valid on this server")
        return found[0]

    def charge(self, client: Client, characters: int) -> None:
        """Take characters from what a client may use.

        Raises:
            Refusal: there are not as many left.
        """
        client.charge(characters, self._clock())


def _given(headers: Mapping[str, str], fields: Mapping[str, object]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES and key.strip():
        return key.strip()
    return next((value for name in KEY_FIELDS if isinstance(value := fields.get(name), str) and value), "")
