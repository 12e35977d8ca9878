"""A trace: what one model did with one sentence and its translation, as an immutable record.

It is one forced pass, over the source and the whole target, in evaluation mode, without padding and without a
cache; the decoder sees no later piece, so the numbers are those of the search. With it come the record of
the search, and where all of it is from. ``tracing.py`` makes one; read ``sites.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pellucid.errors import IncompatibleModelError, RequestError
from pellucid.inspection.predictions import Array, Predictions
from pellucid.inspection.provenance import Provenance, weights_sha256
from pellucid.inspection.recording import forced_pass
from pellucid.inspection.sites import AttentionKind, Level, all_sites, is_kept, unknown_site
from pellucid.inspection.tokens import Labels, Tokens, make_tokens
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import Expansion

if TYPE_CHECKING:
    from pellucid.inspection.checks import CheckReport
    from pellucid.inspection.figures import Plots
    from pellucid.inspection.heads import HeadShares
    from pellucid.model.transformer import Transformer
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
    def plot(self) -> Plots:
        """Figures for papers: ``trace.plot.attention(layer=5).savefig("fig.pdf")``; takes the extra ``plots``."""
        from pellucid.inspection.figures import Plots

        return Plots(self)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; one that has two names is counted once."""
        arrays = {id(array): array for array in self.arrays.values()}
        predictions = self.predictions.arrays().values() if self.predictions else ()
        return sum(array.nbytes for array in (*arrays.values(), *predictions))

    def check(self, *, between_steps: Callable[[], None] = lambda: None) -> CheckReport:
        """Test every identity that must hold between the stored numbers; never raises for one that does not.

        ``between_steps`` is called now and then, and what it raises ends the test.
        """
        from pellucid.inspection.checks import check

        return check(self, between_steps=between_steps)

    def head_shares(self, place: str) -> HeadShares:
        """Return what each head of an attention, such as ``decoder.3.cross_attention``, adds to its output.

        Raises:
            RequestError: there is no such attention, or the model is not at hand.
        """
        from pellucid.inspection.heads import head_shares

        return head_shares(self, place)

    def at_level(self, level: str) -> Trace:
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

    def attach(self, translator: Translator) -> Trace:
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

    def save(self, path: str | Path) -> None:
        """Write it all but the model to one file, .npz, that holds numbers and JSON and nothing executable."""
        from pellucid.inspection.archive import save_trace

        save_trace(self, Path(path))

    def to_html(
        self,
        path: str | Path,
        *,
        view: str | None = None,
        kind: str | None = None,
        layer: int | None = None,
        heads: Sequence[int] = (),
        weights: str | None = None,
    ) -> tuple[str, ...]:
        """Write the page of this trace as one file that needs no server and no network; return what it leaves out.

        Args:
            path: of the HTML file.
            view: what it opens with, such as ``attention``.
            kind: ``encoder``, ``decoder`` or ``cross``.
            layer: counted from 0.
            heads: counted from 0.
            weights: of the attention: ``none``, of the ``layer`` it opens with, or ``all``; None is as many as fit.

        Raises:
            RequestError: the view, kind, layer, head or weights do not exist, or the model is not at hand.
        """
        from pellucid.inspection.single_file import StartView, write_page

        start = StartView(view=view, kind=kind, layer=layer, heads=heads)
        return write_page(self, Path(path), start=start, weights=weights)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Show it in a notebook: the page in a frame, and a text and a picture for what shows no frames."""
        from pellucid.inspection.notebook import mime_bundle

        return mime_bundle(self)

    @staticmethod
    def load(path: str | Path) -> Trace:
        """Read what ``save`` wrote; the model is not at hand until ``attach``.

        Raises:
            DataError: the file is missing, damaged or no trace.
        """
        from pellucid.inspection.archive import load_trace

        return load_trace(Path(path))

    @staticmethod
    def from_arrays(
        *,
        source_pieces: Sequence[str],
        fed_pieces: Sequence[str],
        predicted_pieces: Sequence[str],
        attention: Mapping[str, Array],
        special_pieces: Sequence[str] = ("<s>", "</s>", "<pad>"),
    ) -> Trace:
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
        return Trace(source=source, text=text, tokens=tokens, level=Level.ATTENTION, arrays=arrays)

    def __eq__(self, other: object) -> bool:
        from pellucid.inspection.archive import are_equal

        return are_equal(self, other) if isinstance(other, Trace) else NotImplemented

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
