"""The names of all sites of a trace, their shapes, and which of them each level stores.

The names and their order are those of ``model/__init__.py``; a test compares them with what a recorder sees.
Read ``words.py`` next.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from pellucid.config import ModelConfig, NormOrder
from pellucid.errors import RequestError

__all__ = [
    "AttentionKind",
    "Level",
    "all_sites",
    "expected_shape",
    "is_kept",
    "member",
    "refuse_outside",
    "unknown_site",
]

Choice = TypeVar("Choice", bound=StrEnum)


class Level(StrEnum):
    """How much of a pass a trace stores; each level includes the levels before it."""

    TOKENS = "tokens"
    """Ids, pieces, words, and the 50 most probable pieces of each step."""
    ATTENTION = "attention"
    """The weights of every attention."""
    FULL = "full"
    """Every site."""


class AttentionKind(StrEnum):
    """The three uses of attention (section 3.2.3)."""

    ENCODER = "encoder.self_attention"
    DECODER = "decoder.self_attention"
    CROSS = "decoder.cross_attention"

    def at(self, layer: int | str) -> str:
        """Return the name of this attention in a layer, such as ``decoder.3.cross_attention``."""
        stack, _, attention = self.value.partition(".")
        return f"{stack}.{layer}.{attention}"

    @property
    def short(self) -> str:
        """The short name: ``encoder``, ``decoder`` or ``cross``."""
        return self.name.lower()

    @staticmethod
    def named(name: str) -> AttentionKind:
        """Return the attention with a short or a full name.

        Raises:
            RequestError: there is no such attention.
        """
        for kind in AttentionKind:
            if name in (kind.short, kind.value):
                return kind
        raise RequestError(
            f"kind = {name!r}; allowed are 'encoder' and 'decoder' for self-attention, and 'cross' for the decoder's "
            "attention to the encoder"
        )

    def layers(self, config: ModelConfig) -> range:
        """Return the layers of a model that have this attention."""
        return range(config.num_encoder_layers if self is AttentionKind.ENCODER else config.num_decoder_layers)

    def weights_among(self, sites: Iterable[str]) -> list[str]:
        """Return the sites that are weights of this attention, in their order."""
        return [site for site in sites if site.endswith(".weights") and AttentionKind.of(site) is self]

    @staticmethod
    @lru_cache(4096)  # a check of a trace asks for the same few hundred names several times
    def of(site: str) -> AttentionKind | None:
        """Return the attention that a site belongs to, or None."""
        match = re.match(r"(encoder|decoder)\.\d+\.(self|cross)_attention(\.|$)", site)
        return AttentionKind(f"{match[1]}.{match[2]}_attention") if match else None


_ATTENTION = [
    "queries",
    "keys",
    "values",
    "scores",
    "scaled",
    "may_attend",
    "weights",
    "context",
    "concatenated",
    "output",
]
_FEED_FORWARD = ["pre_activation", "hidden", "output"]
_INPUT = ["embedding", "scaled_embedding", "position", "input"]


def all_sites(config: ModelConfig) -> tuple[str, ...]:
    """Return every site of a model, in the order of the pass."""
    encoder = ["self_attention", "feed_forward"]
    decoder = ["self_attention", "cross_attention", "feed_forward"]
    names = [f"source.{name}" for name in _INPUT]
    names += _stack("encoder", encoder, config.num_encoder_layers, config.norm_order)
    names += [f"target.{name}" for name in _INPUT]
    names += _stack("decoder", decoder, config.num_decoder_layers, config.norm_order)
    return (*names, "logits", "log_probabilities")


def _stack(stack: str, sublayers: Sequence[str], depth: int, order: NormOrder) -> Iterator[str]:
    is_pre = order is NormOrder.PRE
    for layer in range(depth):
        at = f"{stack}.{layer}"
        yield f"{at}.input"
        for name in sublayers:
            inner = [f"{at}.{name}.{part}" for part in (_FEED_FORWARD if name == "feed_forward" else _ATTENTION)]
            norm, residual = f"{at}.{name}_norm", f"{at}.{name}_residual"
            yield from [norm, *inner, residual] if is_pre else [*inner, residual, norm]
    if is_pre:
        yield f"{stack}.final_norm"
    yield f"{stack}.output"


def is_kept(site: str, level: Level) -> bool:
    """Return whether a trace of this level stores a site."""
    return level is Level.FULL or (level is Level.ATTENTION and site.endswith(".weights"))


def member(choices: type[Choice], value: str, name: str) -> Choice:
    """Return the member of an enumeration for a value that a caller gave; ``name`` is the parameter's.

    Raises:
        RequestError: the enumeration has no such member.
    """
    try:
        return choices(value)
    except ValueError:
        raise RequestError(f"{name} = {value!r}; allowed are {', '.join(map(repr, map(str, choices)))}") from None


def refuse_outside(name: str, value: object, allowed: Sequence[int]) -> None:
    """Refuse a layer, head, row ... that does not exist; all of them count from 0.

    Raises:
        RequestError: ``value`` is not a whole number, or is not among ``allowed``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        is_whole = len(allowed) == allowed[-1] - allowed[0] + 1  # a trace of another model may lack layers
        spelt = f"{allowed[0]} to {allowed[-1]}" if is_whole else ", ".join(map(str, allowed))
        raise RequestError(f"{name} = {value!r}; allowed are the whole numbers {spelt}")


def expected_shape(site: str, config: ModelConfig, *, source: int, target: int) -> tuple[int, ...]:
    """Return the shape of a site for these numbers of source and target positions, without the batch axis."""
    kind = AttentionKind.of(site)
    rows = source if site.startswith(("source", "encoder")) else target
    columns = target if kind is AttentionKind.DECODER else source
    name = site.rpartition(".")[2]
    if site in {"logits", "log_probabilities"}:
        return (target, config.target_vocab_size)
    if kind is not None and name in {"scores", "scaled", "may_attend", "weights"}:
        return (config.num_heads, rows, columns)
    if kind is not None and name in {"queries", "context"}:
        return (config.num_heads, rows, config.d_head)
    if kind is not None and name in {"keys", "values"}:
        return (config.num_heads, columns, config.d_head)
    if name in {"pre_activation", "hidden"}:
        return (rows, config.d_feedforward)
    return (rows, config.d_model)


def unknown_site(site: str, known: Sequence[str]) -> str:
    """Return the message for a site that does not exist, with similar names or the existing layers."""
    match = re.match(r"(encoder|decoder)\.(\d+)\.", site)
    if match:
        layers = {name.split(".")[1] for name in known if name.startswith(f"{match[1]}.") and name[8].isdigit()}
        if layers and match[2] not in layers:
            top = max(map(int, layers))
            return f"{site!r} is not a site of this trace: its {match[1]} layers are 0 to {top}"
    near = difflib.get_close_matches(site, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "the names are in trace.sites"
    return f"{site!r} is not a site of this trace; {hint}"
