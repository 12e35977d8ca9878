"""Apply edits while the model computes, with the values that come from other sentences. Read ``steps.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.errors import RequestError, counted
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.refusal import EditError, refusals_of
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.edits import SUBLAYERS, OtherPositions, OtherSentence, ValueEdit, needs_replacement

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Editor", "Others", "others_of"]

Means = Mapping[str, Tensor]
_MEANS: WeakKeyDictionary[Transformer, dict[tuple[object, str], Means]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Others:
    """What edits take from other sentences: the ids of the sentences, and the means over samples by site."""

    source_ids: Mapping[OtherSentence, tuple[int, ...]] = field(default_factory=dict)
    means: Mapping[Sample, Means] = field(default_factory=dict)


class Editor:
    """A recorder that applies edits and passes every value to ``keep``.

    Args:
        edits: edits of values.
        model: the model that computes.
        others: what the edits take from other sentences.
        keep: is called with each site and its value after the edits.
    """

    def __init__(
        self,
        edits: Sequence[ValueEdit],
        model: Transformer,
        *,
        others: Others | None = None,
        keep: Callable[[str, Tensor], None] | None = None,
    ) -> None:
        self._model = model
        self._others = others or Others()
        self._keep = keep
        self._by_site: dict[str, list[ValueEdit]] = {}
        for edit in edits:
            for site in edit.sites(model.config):
                self._by_site.setdefault(site, []).append(edit)
        self._donated: dict[tuple[OtherSentence, str], Tensor] = {}
        self.memories: dict[OtherSentence, Tensor] = {}
        """The encoder's output for other sentences, once ``encode`` has run."""

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the value with the edits of this site, in their order."""
        for edit in self._by_site.get(site, ()):
            value = edit.apply(value, replacement=self._replacement(edit, site, value))
        if self._keep is not None:
            self._keep(site, value)
        return value

    def encode(self, source_ids: Tensor) -> Tensor:
        """Encode the source with the edits; other sentences are encoded first, without edits."""
        for other, ids in self._others.source_ids.items():
            given = torch.tensor([ids], device=source_ids.device)
            tape = _Tape({site for site in self._by_site if site.startswith("encoder")})
            self.memories[other] = self._model.encode(given, recorder=tape if tape.wanted else None)
            self._donated |= {(other, site): value for site, value in tape.values.items()}
        return self._model.encode(source_ids, recorder=self)

    def decode(self, target_ids: Tensor, memory: Tensor) -> Tensor:
        """Decode with the edits; other sentences are decoded first, with the same target."""
        for other, alone in self.memories.items():
            tape = _Tape({site for site in self._by_site if site.startswith("decoder")})
            self._model.decode(target_ids, alone.expand(len(target_ids), -1, -1), recorder=tape)
            self._donated |= {(other, site): value for site, value in tape.values.items()}
        return self._model.decode(target_ids, memory, recorder=self)

    def _replacement(self, edit: ValueEdit, site: str, value: Tensor) -> Tensor | None:
        if isinstance(edit, OtherPositions):
            return edit.table(self._model.config, count=value.shape[-2])
        mode = getattr(edit, "mode", None)
        if isinstance(mode, Sample):
            return self._others.means[mode][site]
        if not isinstance(mode, OtherSentence):
            return None
        given = self._donated[mode, site]
        if given.shape[-2] != value.shape[-2]:
            reason = (
                f"{edit}: the other sentence has {counted(given.shape[-2], 'source piece')} and this one "
                f"{value.shape[-2]}; values of the encoder can only be taken from a sentence of equal length"
            )
            raise EditError([(edit, reason)])
        return given


def others_of(edits: Sequence[ValueEdit], model: Transformer, tokenizer: Tokenizer | None) -> Others:
    """Return what edits take from other sentences, which have to be tokenised.

    Raises:
        RequestError: there is no tokenizer, or a sentence is too long.
    """
    wanted = [edit for edit in edits if needs_replacement(edit)]
    modes = {edit.mode for edit in wanted}  # type: ignore[union-attr]
    if not modes:
        return Others()
    if tokenizer is None:
        raise RequestError(f"{wanted[0]}: takes values of other sentences, which requires the tokenizer; attach one")
    ids = {}
    for edit in wanted:
        if isinstance(edit.mode, OtherSentence):  # type: ignore[union-attr]
            with refusals_of(edit):
                ids[edit.mode] = _ids(edit.mode.source, tokenizer)  # type: ignore[union-attr]
    return Others(ids, {mode: _means(mode, model, tokenizer) for mode in modes if isinstance(mode, Sample)})


class _Tape:
    """A recorder that keeps some sites with their batch axis."""

    def __init__(self, wanted: set[str]) -> None:
        self.values: dict[str, Tensor] = {}
        self.wanted = wanted

    def visit(self, site: str, value: Tensor) -> Tensor:
        if site in self.wanted:
            self.values[site] = value
        return value


def _ids(source: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    (ids,) = tokenizer.encode_source([source])
    return (*ids, tokenizer.specials.eos)


def _means(sample: Sample, model: Transformer, tokenizer: Tokenizer) -> Means:
    """Return the mean of every site that can be ablated over all positions of a sample; kept until weights change."""
    stamp = tuple((tensor.data_ptr(), tensor._version) for tensor in model.parameters() if not tensor.is_inference())
    known = _MEANS.setdefault(model, {})
    key = (stamp, sample.sha256)
    if key not in known:
        for old in [old for old in known if old[0] != stamp]:
            del known[old]
        known[key] = _computed_means(sample, model, tokenizer)
    return known[key]


def _computed_means(sample: Sample, model: Transformer, tokenizer: Tokenizer) -> Means:
    sites = set(_ablatable(model.config))
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    device = next(model.parameters()).device
    for source, target in sample.pairs:
        tape = _Tape(sites)
        (target_ids,) = tokenizer.encode_target([target])
        fed = torch.tensor([[model.start_id, *target_ids]], device=device)
        with torch.inference_mode():
            model(torch.tensor([_ids(source, tokenizer)], device=device), fed, recorder=tape)
        for site, value in tape.values.items():
            total = value.double().sum(-2, keepdim=True)
            sums[site] = sums[site] + total if site in sums else total
            counts[site] = counts.get(site, 0) + value.shape[-2]
    return {site: total / counts[site] for site, total in sums.items()}


def _ablatable(config: ModelConfig) -> list[str]:
    depths = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    return [
        f"{stack}.{layer}.{name}.{part}"
        for stack, names in SUBLAYERS.items()
        for layer in range(depths[stack])
        for name in names
        for part in (("hidden", "output") if name == "feed_forward" else ("context", "output"))
    ]
