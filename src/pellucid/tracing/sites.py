"""The names of everything a trace can show, how much of it each level keeps, and what shape it has.

The names and their order are those of ``model/__init__.py``; a test holds them to what a recorder sees.
Read ``words.py`` next.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from pellucid.config import ModelConfig, NormOrder
from pellucid.errors import RequestError

__all__ = ["AttentionKind", "Level", "all_sites", "expected_shape", "is_kept", "refuse_outside", "unknown_site"]


class Level(StrEnum):
    """How much of a pass a trace keeps; each level keeps what is listed before it too."""

    TOKENS = "tokens"
    """Ids, pieces, words, and of each step the 50 most probable pieces."""
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
        """Return the place of this attention in a layer, such as ``decoder.3.cross_attention``."""
        stack, _, attention = self.value.partition(".")
        return f"{stack}.{layer}.{attention}"

    @property
    def short(self) -> str:
        """Its name for people: ``encoder``, ``decoder`` or ``cross``."""
        return self.name.lower()

    @staticmethod
    def named(name: str) -> AttentionKind:
        """Return the attention called ``encoder``, ``decoder`` or ``cross``, or by its whole name.

        Raises:
            RequestError: there is none.
        """
        for kind in AttentionKind:
            if name in (kind.short, kind.value):
                return kind
        raise RequestError(
            f"kind = {name!r}; allowed are 'encoder' and 'decoder' for their self-attention, and 'cross' for the "
            "decoder's attention over the encoder"
        )

    def layers(self, config: ModelConfig) -> range:
        """Return the layers of a model that have this attention."""
        return range(config.num_encoder_layers if self is AttentionKind.ENCODER else config.num_decoder_layers)

    @staticmethod
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
            inner = [f"{at}.{name}.{own}" for own in (_FEED_FORWARD if name == "feed_forward" else _ATTENTION)]
            norm, residual = f"{at}.{name}_norm", f"{at}.{name}_residual"
            yield from [norm, *inner, residual] if is_pre else [*inner, residual, norm]
    if is_pre:
        yield f"{stack}.final_norm"
    yield f"{stack}.output"


def is_kept(site: str, level: Level) -> bool:
    """Tell whether a trace of this level stores a site."""
    return level is Level.FULL or (level is Level.ATTENTION and site.endswith(".weights"))


def refuse_outside(name: str, value: object, allowed: Sequence[int]) -> None:
    """Refuse a layer, a head, a row ... that does not exist; indices count from 0 everywhere.

    Raises:
        RequestError: ``value`` is no whole number, or not among those allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        is_whole = len(allowed) == allowed[-1] - allowed[0] + 1  # arrays of another model may lack layers
        spelt = f"{allowed[0]} to {allowed[-1]}" if is_whole else ", ".join(map(str, allowed))
        raise RequestError(f"{name} = {value!r}; allowed are the whole numbers {spelt}")


def expected_shape(site: str, config: ModelConfig, *, source: int, target: int) -> tuple[int, ...]:
    """Return the shape of a site for so many source and target positions, without the batch."""
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
    """Return what to say of a site that does not exist: what is near, or which layers there are."""
    match = re.match(r"(encoder|decoder)\.(\d+)\.", site)
    if match:
        layers = {name.split(".")[1] for name in known if name.startswith(f"{match[1]}.") and name[8].isdigit()}
        if layers and match[2] not in layers:
            top = max(map(int, layers))
            return f"{site!r} is no site of this trace: its {match[1]} layers are 0 to {top}"
    near = difflib.get_close_matches(site, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "the names are in trace.sites"
    return f"{site!r} is no site of this trace; {hint}"
