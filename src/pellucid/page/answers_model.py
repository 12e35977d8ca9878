"""Answers about a model: what it is, its weights, its vocabulary.

Paths below ``api/models/{id}``:

    (nothing)                      a description of the model
    weights/{parameter}?head=      one parameter, as torch stores it: y = x W^T + b; with ``head``, the part of one
                                   head; with ``unit``, the row of W_1^T or W_2 of one feed-forward unit
    rows/{side}?ids=3,17           rows of the embedding table, [n, d_model]; side ``output`` gives the rows that make
                                   the logits, each with its bias as one more number if the model has one
    positions?layout=&length=&side=   a table of positions, [length, d_model]
    neighbours/{side}/{id}         the ten nearest pieces by cosine
    vocabulary/{side}              every piece, in the order of the ids
    training, probes/{step}        see ``answers_training.py``
    measured                       what the methods of attribution were worth on this model; null if it was not measured

Read ``answers_training.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from pellucid.config import PositionLayout
from pellucid.errors import RequestError, counted
from pellucid.model.positions import sinusoids
from pellucid.page.answers import Answer, Query, json_answer, number_in, octets_answer, refuse_unknown, whole_number
from pellucid.page.answers_training import label_smoothing, probe_answer, training_answer
from pellucid.page.catalogue import OpenedModel, UnknownPathError
from pellucid.tracing.predictions import Array
from pellucid.tracing.provenance import Provenance, provenance_of
from pellucid.tracing.sites import member
from pellucid.version import __version__

__all__ = ["model_answer", "models_answer", "short_provenance", "special_pieces"]

_NEAREST: Final = 10
_MOST_ROWS: Final = 1024
_MOST_POSITIONS: Final = 4096
_LARGEST_ANSWER_BYTES: Final = 64 << 20
_SIDES: Final = ("source", "target")


def models_answer(models: Sequence[OpenedModel], *, with_snapshots: bool = True) -> Answer:
    """Answer ``api/models``: the models, each with the steps of its snapshots."""
    return json_answer(
        {
            "models": [
                {
                    "id": model.id,
                    "name": model.name,
                    "languages": _languages(model),
                    "step": model.step,
                    "steps": model.snapshot_steps if with_snapshots else (),
                    "examples": model.examples,
                    "is_walkthrough": model.is_walkthrough,
                }
                for model in models
            ],
            "version": __version__,
        }
    )


def model_answer(opened: OpenedModel, rest: str, query: Query) -> Answer:
    """Answer a path below ``api/models/{id}/``; ``rest`` is the part after it, empty for the model itself.

    Raises:
        UnknownPathError: there is no such path.
        RequestError: a parameter is wrong.
    """
    kind, _, name = rest.partition("/")
    if kind == "weights" and name:
        return octets_answer(_weights(opened, name, query))
    if kind in ("", "training", "positions", "measured") and not name:
        if kind == "positions":
            return octets_answer(_positions(opened, query))
        refuse_unknown(query)
        if kind == "measured":
            return json_answer(opened.measured)
        return training_answer(opened) if kind else json_answer(_description(opened))
    if kind == "rows":
        return octets_answer(_rows(opened, name if name == "output" else _side(name), query))
    refuse_unknown(query)
    if kind == "neighbours":
        side, _, piece = name.partition("/")
        return json_answer(_neighbours(opened, _side(side), piece))
    if kind == "vocabulary":
        side = _side(name)
        return json_answer(_pieces(opened, side, range(_size(opened, side))))
    if kind == "probes":
        return probe_answer(opened, name)
    raise UnknownPathError(
        f"a model has no path {rest!r}; allowed are weights/..., rows/..., positions, neighbours/..., "
        "vocabulary/..., training, probes/... and measured"
    )


def special_pieces(opened: OpenedModel) -> dict[str, dict[str, object]]:
    """Return the id and the piece of each special role."""
    specials = opened.translator.tokenizer.specials.model_dump()
    named = zip(specials, specials.values(), _pieces(opened, "target", specials.values()), strict=True)
    return {name: {"id": index, "piece": piece} for name, index, piece in named}


def short_provenance(provenance: Provenance) -> dict[str, object]:
    """Return a provenance without the configuration, which is sent separately."""
    return {name: value for name, value in provenance.to_table().items() if name != "configuration"}


def _description(opened: OpenedModel) -> dict[str, object]:
    translator = opened.translator
    config, tokenizer = translator.model.config, translator.tokenizer
    return {
        "id": opened.id,
        "name": opened.name,
        "step": opened.step,
        "config": config.model_dump(mode="json"),
        "d_head": config.d_head,
        "num_parameters": translator.model.num_parameters(),
        "parameters": {name: list(tensor.shape) for name, tensor in translator.model.named_parameters()},
        "tokenizer": {
            "kind": str(getattr(tokenizer, "kind", "other")),
            "source_size": tokenizer.source_vocab_size,
            "target_size": tokenizer.target_vocab_size,
            "joint": bool(getattr(tokenizer, "joint", config.share_embeddings)),
            "specials": special_pieces(opened),
        },
        "languages": _languages(opened),
        "translation": translator.config.model_dump(mode="json"),
        "label_smoothing": label_smoothing(opened),
        "has_training": opened.has_training,
        "provenance": short_provenance(provenance_of(translator, edits=(), is_searched=True)),
        "examples": opened.examples,
        "is_walkthrough": opened.is_walkthrough,
        "is_snapshot": opened.is_snapshot,
        "story": opened.story,
    }


def _languages(opened: OpenedModel) -> list[str]:
    return [opened.translator.source_language, opened.translator.target_language]


def _side(name: str) -> str:
    if name not in _SIDES:
        raise UnknownPathError(f"there is no side {name!r}; allowed are source and target")
    return name


def _size(opened: OpenedModel, side: str) -> int:
    tokenizer = opened.translator.tokenizer
    return tokenizer.source_vocab_size if side == "source" else tokenizer.target_vocab_size


def _pieces(opened: OpenedModel, side: str, ids: object) -> list[str]:
    tokenizer = opened.translator.tokenizer
    name = tokenizer.source_pieces if side == "source" else tokenizer.target_pieces
    return name(list(ids))  # type: ignore[call-overload]


def _weights(opened: OpenedModel, name: str, query: Query) -> Array:
    refuse_unknown(query, "head", "unit")
    model = opened.translator.model
    parameters = opened.parameters
    if name not in parameters:
        tied = "; the projection shares the table of the target embedding" if name == "projection.weight" else ""
        raise UnknownPathError(f"the model has no parameter {name!r}{tied}; api/models/{opened.id} lists them")
    tensor = parameters[name]
    head = whole_number(query, "head", below=model.config.num_heads)
    unit = whole_number(query, "unit", below=model.config.d_feedforward)
    if unit is not None:
        match = re.search(r"\.feed_forward\.(inner|outer)\.weight$", name)
        if match is None or head is not None:
            raise RequestError(f"{name} is not divided into units; leave out unit")
        tensor = tensor[unit] if match[1] == "inner" else tensor[:, unit]
    if head is not None:
        match = re.search(r"_attention\.(queries|keys|values|output)\.(weight|bias)$", name)
        if match is None or match.groups() == ("output", "bias"):
            raise RequestError(f"{name} is not divided into heads; leave out head")
        part = slice(head * model.config.d_head, (head + 1) * model.config.d_head)
        tensor = tensor[:, part] if match[1] == "output" else tensor[part]
    if 4 * tensor.numel() > _LARGEST_ANSWER_BYTES:
        raise RequestError(
            f"{name} has {counted(tensor.numel(), 'number')}, too many for one answer; request rows/... instead"
        )
    return _array(tensor)


def _table(opened: OpenedModel, side: str) -> torch.Tensor:
    model = opened.translator.model
    own = model.projection.weight if side == "output" else None
    table = model.source_embedding.weight if side == "source" else model.decoder_embedding.weight
    return (table if own is None else own).detach()


def _rows(opened: OpenedModel, side: str, query: Query) -> Array:
    refuse_unknown(query, "ids")
    table = _table(opened, side)
    texts = query.get("ids", "").split(",")
    if len(texts) > _MOST_ROWS:
        raise RequestError(f"{counted(len(texts), 'id')}; the limit is {_MOST_ROWS} per request")
    ids = [number_in(text, "id", below=len(table)) for text in texts]
    rows, bias = table[ids], opened.translator.model.projection.bias
    return _array(rows if side != "output" or bias is None else torch.cat([rows, bias[ids][:, None]], dim=1))


def _positions(opened: OpenedModel, query: Query) -> Array:
    """Return rows of a table of positions; for the layout of the model, the numbers that the model adds."""
    refuse_unknown(query, "layout", "length", "side")
    model = opened.translator.model
    config, side = model.config, _side(query.get("side", "source"))
    name = query.get("layout", str(config.position_layout))
    layout = member(PositionLayout, name, "layout")
    is_own = layout is config.position_layout
    if layout is PositionLayout.LEARNED and not is_own:
        raise RequestError(f"this model has {config.position_layout} positions, so it has no learned table")
    top = min(config.max_positions, _MOST_POSITIONS) if is_own else _MOST_POSITIONS
    length = whole_number(query, "length", below=top + 1, least=1) or min(100, top)
    if is_own:
        stack = model.encoder if side == "source" else model.decoder
        return _array(stack.input.positions(length))
    if config.d_model % 2 or config.d_model < 4:
        raise RequestError(f"sinusoids require an even d_model of at least 4; this model has {config.d_model}")
    table = sinusoids(layout, num_positions=config.position_offset + length, d_model=config.d_model)
    return _array(table[config.position_offset :])


def _neighbours(opened: OpenedModel, side: str, text: str) -> list[dict[str, object]]:
    """Return the pieces with the largest cosines; a zero vector has no neighbours."""
    table = _table(opened, side).float()
    own = number_in(text, "id", below=len(table))
    lengths = torch.linalg.vector_norm(table, dim=1)
    if not lengths[own]:
        return []
    cosines = (table @ table[own]) / (lengths * lengths[own])
    cosines[lengths == 0] = -torch.inf
    cosines[own] = -torch.inf
    found = torch.topk(cosines, min(_NEAREST, len(table)))
    rows = [(i, c) for i, c in zip(found.indices.tolist(), found.values.tolist(), strict=True) if np.isfinite(c)]
    pieces = _pieces(opened, side, [index for index, _ in rows])
    return [{"id": i, "piece": piece, "cosine": c} for (i, c), piece in zip(rows, pieces, strict=True)]


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.detach().float().cpu().numpy()
    return array
