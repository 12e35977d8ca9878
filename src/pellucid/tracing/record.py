"""A trace: what one model did with one sentence and its translation, as an immutable record.

It holds one forced pass over the source and the whole target, in evaluation mode, without padding and without a
cache; the decoder sees no later piece, so the numbers are the same as in the search. It also holds the record of
the search and the provenance. ``making.py`` makes a trace, ``file.py`` stores it, and ``jobs/surface.py`` adds what
people do with one: check, draw, show in a page. Read ``sites.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from pellucid.errors import IncompatibleModelError, RequestError, counted
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.plan import value_edits
from pellucid.tracing.editing.recorder import others_of
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.predictions import Array, Predictions
from pellucid.tracing.provenance import Provenance, weights_sha256
from pellucid.tracing.sites import AttentionKind, Level, all_sites, is_kept, member, unknown_site
from pellucid.tracing.tokens import Labels, Tokens, make_tokens
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import Expansion
from pellucid.translation.translator import Translator

__all__ = ["Trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a model did with a sentence; ``trace["decoder.3.cross_attention.weights"]`` is an array.

    Arrays have no batch axis and are read-only. A site that the level does not store is computed again by the same
    pass, which requires the model; ``attach`` gives a loaded trace its model. Two traces are equal if all their
    records and arrays are equal; the model is not compared.
    """

    source: str
    text: str
    tokens: Tokens
    level: Level
    arrays: Mapping[str, Array]
    """The stored arrays, by site."""
    predictions: Predictions | None = None
    hypothesis: Hypothesis | None = None
    """The best one of the search, or the given target as ``Translator.score`` scores it."""
    search: tuple[Expansion, ...] = ()
    """Every expansion of the beam; empty if the target was given or sampled."""
    flags: tuple[str, ...] = ()
    """See ``translation/flags.py``."""
    provenance: Provenance = field(default_factory=Provenance)
    model: Transformer | None = field(default=None, repr=False)
    translator: Translator | None = field(default=None, repr=False)
    """The translator of ``model``; pages and figures that name pieces require it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", MappingProxyType(dict(self.arrays)))

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites, stored or not, in the order of the pass."""
        configuration = self.provenance.configuration
        return all_sites(configuration) if configuration else tuple(self.arrays)

    def __contains__(self, site: object) -> bool:
        return site in self.sites

    def __getitem__(self, site: str) -> Array:
        if site in self.arrays:
            return self.arrays[site]
        if site not in self.sites:
            raise RequestError(unknown_site(site, self.sites))
        if self.model is None:
            raise RequestError(
                f"{site!r} is not stored at level {str(self.level)!r}, and computing it requires the model; "
                "attach it with trace.attach(translator), or make the trace with level='full'"
            )
        return self._pass_again(lambda name: name == site)[site]

    def labels(self, site: str) -> Labels:
        """Return the labels of the rows and columns of an attention site; row i looks at column j.

        Raises:
            RequestError: the site does not belong to an attention.
        """
        kind = AttentionKind.of(site)
        if kind is None:
            raise RequestError(
                f"{site!r} belongs to no attention; name a site like 'decoder.0.cross_attention.weights'"
            )
        return self.tokens.labels(kind)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; an array with two names counts once."""
        arrays = {id(array): array for array in self.arrays.values()}
        predictions = self.predictions.arrays().values() if self.predictions else ()
        return sum(array.nbytes for array in (*arrays.values(), *predictions))

    def at_level(self, level: str) -> Self:
        """Return this trace with fewer sites, or with more of them by running the same pass again.

        Raises:
            RequestError: more sites are wanted, and the trace has no model.
        """
        wanted = member(Level, level, "level")
        sites = [site for site in self.sites if is_kept(site, wanted)]
        missing = {site for site in sites if site not in self.arrays}
        if missing and self.model is None:
            raise RequestError(
                f"level {str(wanted)!r} requires the model, and this trace has none; attach it with "
                "trace.attach(translator)"
            )
        arrays = self._pass_again(lambda site: is_kept(site, wanted)) if missing else self.arrays
        return replace(self, level=wanted, arrays={site: arrays[site] for site in sites})

    def attach(self, translator: Translator) -> Self:
        """Return this trace with the model that made it.

        Raises:
            IncompatibleModelError: the translator has another model or tokenizer.
        """
        wanted = (self.provenance.weights_sha256, self.provenance.tokenizer_fingerprint)
        given = (weights_sha256(translator.model), translator.tokenizer.fingerprint)
        configuration = self.provenance.configuration
        # The same weights with another number of heads are another model.
        same_shape = configuration is not None and configuration.model_dump() == translator.model.config.model_dump()
        if wanted != given or not same_shape:
            raise IncompatibleModelError(
                f"this trace was made by the weights {_short(wanted[0])} with the tokenizer {_short(wanted[1])}; the "
                f"translator has {_short(given[0])} with {_short(given[1])}"
                f"{'' if same_shape else ', and another configuration'}; load the model that made the trace"
            )
        return replace(self, model=translator.model, translator=translator)

    @classmethod
    def from_arrays(
        cls,
        *,
        source_pieces: Sequence[str],
        fed_pieces: Sequence[str],
        predicted_pieces: Sequence[str],
        attention: Mapping[str, Array],
        special_pieces: Sequence[str] = ("<s>", "</s>", "<pad>"),
    ) -> Self:
        """Make a trace from the pieces and attention weights of another model.

        Args:
            source_pieces: with the end of sentence, if the model read one.
            fed_pieces: the input of the decoder, start first.
            predicted_pieces: the piece that each row predicts.
            attention: weights [heads, rows, columns] by site, such as ``encoder.0.self_attention.weights``.
            special_pieces: pieces that belong to no word.

        Raises:
            RequestError: a name is not a site of attention weights, or a shape does not fit the pieces.
        """
        tokens = make_tokens(
            source_pieces,
            fed_pieces,
            predicted_pieces,
            source_is_special=[piece in special_pieces for piece in source_pieces],
            predicted_is_special=[piece in special_pieces for piece in predicted_pieces],
        )
        arrays = {site: _foreign_weights(site, array, tokens) for site, array in attention.items()}
        source, text = (
            " ".join(word.text for word in words if word.text not in special_pieces)
            for words in (tokens.source_words, tokens.target_words)
        )
        return cls(source=source, text=text, tokens=tokens, level=Level.ATTENTION, arrays=arrays)

    def records(self) -> dict[str, object]:
        """Return everything except the arrays and the model, ready for JSON."""
        return {
            "source": self.source,
            "text": self.text,
            "level": str(self.level),
            "flags": list(self.flags),
            "tokens": asdict(self.tokens),
            "hypothesis": asdict(self.hypothesis) if self.hypothesis else None,
            "search": [_as_table(expansion) for expansion in self.search],
            "provenance": self.provenance.to_table(),
        }

    def named_arrays(self) -> dict[str, Array]:
        """Return the arrays of sites, as ``site/...``, and of predictions, as ``predictions/...``."""
        predictions = self.predictions.arrays() if self.predictions else {}
        return {f"site/{site}": array for site, array in self.arrays.items()} | {
            f"predictions/{name}": array for name, array in predictions.items()
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        mine, others = self.named_arrays(), other.named_arrays()
        return (
            self.records() == other.records()
            and mine.keys() == others.keys()
            and all(_are_same(array, others[name]) for name, array in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        sides = f"{self.tokens.source_length} source and {counted(self.tokens.target_length, 'target position')}"
        return f"<Trace {self.source!r} → {self.text!r}: {sides}, level {self.level}, {counted(self.nbytes, 'byte')}>"

    def _pass_again(self, is_wanted: Callable[[str], bool]) -> dict[str, Array]:
        if self.model is None:
            raise RequestError("this trace has no model; attach it with trace.attach(translator)")
        if weights_sha256(self.model) != self.provenance.weights_sha256:
            raise IncompatibleModelError(
                "the weights of the model have changed since this trace was made, so its pass cannot be run again; "
                "trace the sentence again"
            )
        ids, edits = self.tokens, value_edits(self.provenance.edits)
        others = others_of(edits, self.model, self.translator.tokenizer if self.translator else None)
        return forced_pass(self.model, ids.source_ids, ids.fed_ids, edits=edits, others=others, is_wanted=is_wanted)


def _as_table(record: Any) -> Any:
    """Return a record as ``asdict`` does, without copying what cannot change: a search has hundreds of candidates."""
    if is_dataclass(record):
        return {one.name: _as_table(getattr(record, one.name)) for one in fields(record)}
    return tuple(map(_as_table, record)) if isinstance(record, tuple) else record


def _are_same(first: Array, second: Array) -> bool:
    return (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())


def _short(digest: str | None) -> str:
    return digest[:8] if digest else "unknown"


def _foreign_weights(site: str, array: Array, tokens: Tokens) -> Array:
    kind = AttentionKind.of(site)
    if kind is None or not site.endswith("_attention.weights"):
        raise RequestError(
            f"{site!r} is not a site of attention weights; use names like 'encoder.0.self_attention.weights', "
            "'decoder.0.self_attention.weights' and 'decoder.0.cross_attention.weights'"
        )
    labels = tokens.labels(kind)
    weights = np.array(array, order="C")
    sides = (len(labels.rows), len(labels.columns))
    if weights.ndim != 3 or weights.shape[1:] != sides or weights.dtype.kind != "f":
        raise RequestError(
            f"{site}: the array has shape {list(weights.shape)} and type {weights.dtype}; these pieces require [heads, "
            f"{sides[0]}, {sides[1]}] and floating-point numbers, with one row for each position that looks"
        )
    weights.setflags(write=False)
    return weights
