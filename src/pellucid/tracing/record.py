"""A trace: what one model did with one sentence and its translation, as an immutable record.

It is one forced pass, over the source and the whole target, in evaluation mode, without padding and without a
cache; the decoder sees no later piece, so the numbers are those of the search. With it come the record of
the search, and where all of it comes from. ``making.py`` makes one, ``file.py`` keeps it; what people do with one
(check, draw, show in a page) is added by ``jobs/surface.py``. Read ``sites.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Self

import numpy as np

from pellucid.errors import IncompatibleModelError, RequestError
from pellucid.model.transformer import Transformer
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.predictions import Array, Predictions
from pellucid.tracing.provenance import Provenance, weights_sha256
from pellucid.tracing.sites import AttentionKind, Level, all_sites, is_kept, unknown_site
from pellucid.tracing.tokens import Labels, Tokens, make_tokens
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import Expansion
from pellucid.translation.translator import Translator

__all__ = ["Trace", "level_named"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a model did with a sentence; ``trace["decoder.3.cross_attention.weights"]`` is an array.

    Arrays have no batch axis and cannot be written to. A site that this level does not keep is computed again
    by the same pass, as long as the model is at hand; a trace that was loaded is given one by ``attach``. Two
    traces are equal when every record and every array is, the model aside.
    """

    source: str
    text: str
    tokens: Tokens
    level: Level
    arrays: Mapping[str, Array]
    """What is stored, by site."""
    predictions: Predictions | None = None
    hypothesis: Hypothesis | None = None
    """What the search found, or the given target as ``Translator.score`` scores it."""
    search: tuple[Expansion, ...] = ()
    """Every expansion of the beam; empty where the target was given or drawn at random."""
    flags: tuple[str, ...] = ()
    """Of ``translation/flags.py``."""
    provenance: Provenance = field(default_factory=Provenance)
    model: Transformer | None = field(default=None, repr=False)
    translator: Translator | None = field(default=None, repr=False)
    """What ``model`` belongs to, for what shows its vocabulary too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", MappingProxyType(dict(self.arrays)))

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site there is, stored or not, in the order of the pass."""
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
                f"{site!r} is not stored at level {str(self.level)!r}, and computing it takes the model; "
                "give one with trace.attach(translator), or make the trace with level='full'"
            )
        return self._pass_again(lambda name: name == site)[site]

    def labels(self, site: str) -> Labels:
        """Return what stands at the rows and columns of an attention site; row i looks at column j.

        Raises:
            RequestError: the site is not of an attention.
        """
        kind = AttentionKind.of(site)
        if kind is None:
            raise RequestError(f"{site!r} is no attention; sites like 'decoder.0.cross_attention.weights' are")
        return self.tokens.labels(kind)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; one that has two names is counted once."""
        arrays = {id(array): array for array in self.arrays.values()}
        predictions = self.predictions.arrays().values() if self.predictions else ()
        return sum(array.nbytes for array in (*arrays.values(), *predictions))

    def at_level(self, level: str) -> Self:
        """Return this trace with less, or by the same pass again with more, of its sites.

        Raises:
            RequestError: more is wanted and the model is not at hand.
        """
        wanted = level_named(level)
        sites = [site for site in self.sites if is_kept(site, wanted)]
        missing = {site for site in sites if site not in self.arrays}
        if missing and self.model is None:
            raise RequestError(
                f"level {str(wanted)!r} takes the model, and this trace has none; give it with trace.attach(translator)"
            )
        arrays = self._pass_again(lambda site: is_kept(site, wanted)) if missing else self.arrays
        return replace(self, level=wanted, arrays={site: arrays[site] for site in sites})

    def attach(self, translator: Translator) -> Self:
        """Return this trace with the model that made it at hand.

        Raises:
            IncompatibleModelError: it is another model or tokenizer.
        """
        own = (self.provenance.weights_sha256, self.provenance.tokenizer_fingerprint)
        given = (weights_sha256(translator.model), translator.tokenizer.fingerprint)
        configuration = self.provenance.configuration
        # The same weights make another model with another number of heads.
        same_shape = configuration is not None and configuration.model_dump() == translator.model.config.model_dump()
        if own != given or not same_shape:
            raise IncompatibleModelError(
                f"this trace was made by the weights {_short(own[0])} with the tokenizer {_short(own[1])}; the "
                f"translator has {_short(given[0])} with {_short(given[1])}"
                f"{'' if same_shape else ', and another configuration'}; load the model it was made with"
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
        """Make a trace of what another model gave: its pieces and its attention weights.

        Args:
            source_pieces: with the end of sentence, if the model was given one.
            fed_pieces: the decoder's input, its start first.
            predicted_pieces: what each row predicts, one a row.
            attention: weights [heads, rows, columns] by site, such as ``encoder.0.self_attention.weights``.
            special_pieces: pieces that are no part of a word.

        Raises:
            RequestError: a name is no site of weights, or a shape does not go with the pieces.
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
        """Return everything but the arrays and the model, as JSON can hold it."""
        return {
            "source": self.source,
            "text": self.text,
            "level": str(self.level),
            "flags": list(self.flags),
            "tokens": asdict(self.tokens),
            "hypothesis": asdict(self.hypothesis) if self.hypothesis else None,
            "search": [asdict(expansion) for expansion in self.search],
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
        sides = f"{self.tokens.source_length} source and {self.tokens.target_length} target positions"
        return f"<Trace {self.source!r} → {self.text!r}: {sides}, level {self.level}, {self.nbytes:,} bytes>"

    def _pass_again(self, is_wanted: Callable[[str], bool]) -> dict[str, Array]:
        if self.model is None:
            raise RequestError("this trace has no model; give it with trace.attach(translator)")
        if weights_sha256(self.model) != self.provenance.weights_sha256:
            raise IncompatibleModelError(
                "the weights of the model were changed after this trace was made, so its pass cannot be run again; "
                "trace the sentence anew"
            )
        ids, edits = self.tokens, self.provenance.edits
        return forced_pass(self.model, ids.source_ids, ids.fed_ids, edits=edits, is_wanted=is_wanted)


def level_named(name: str) -> Level:
    """Return the level of a name.

    Raises:
        RequestError: there is none.
    """
    try:
        return Level(name)
    except ValueError:
        raise RequestError(f"level = {name!r}; allowed are {', '.join(map(repr, map(str, Level)))}") from None


def _are_same(first: Array, second: Array) -> bool:
    return (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())


def _short(digest: str | None) -> str:
    return digest[:8] if digest else "unknown"


def _foreign_weights(site: str, array: Array, tokens: Tokens) -> Array:
    kind = AttentionKind.of(site)
    if kind is None or not site.endswith("_attention.weights"):
        raise RequestError(
            f"{site!r} is no site of attention weights; name them like 'encoder.0.self_attention.weights', "
            "'decoder.0.self_attention.weights' and 'decoder.0.cross_attention.weights'"
        )
    labels = tokens.labels(kind)
    weights = np.array(array, order="C")
    sides = (len(labels.rows), len(labels.columns))
    if weights.ndim != 3 or weights.shape[1:] != sides or weights.dtype.kind != "f":
        raise RequestError(
            f"{site}: an array {list(weights.shape)} of {weights.dtype}; for these pieces it must be [heads, "
            f"{sides[0]}, {sides[1]}] of floating-point numbers, a row for each position that looks"
        )
    weights.setflags(write=False)
    return weights
