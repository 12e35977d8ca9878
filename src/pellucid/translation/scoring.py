"""Forced scoring: how probable a model finds target sentences that are given.

One full pass a batch for Transformers, which is the fast way; a step at a time for any other stepper.
Read ``segments.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from pellucid.translation.candidates import refuse_not_a_number
from pellucid.translation.stepper import Stepper

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["forced_log_probabilities", "forced_log_probabilities_by_steps", "padded"]

_POSITIONS_AT_ONCE: Final = 1024  # rows of the vocabulary's logits that are in memory together


def forced_log_probabilities(
    models: Sequence[Transformer], source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Return the log-probability of every token of each target, given its source and the tokens before.

    All ids carry their end of sentence. Several models are an ensemble: the mean of their probabilities.

    Raises:
        ValueError: a model is in training mode.
        RequestError: a sentence is longer than a model's ``max_positions``, or log-probabilities are no numbers.
    """
    if any(model.training for model in models):
        raise ValueError("a model is in training mode, where dropout changes every score; call model.eval()")
    with torch.inference_mode():
        members = torch.stack([_forced(model, source_ids, target_ids) for model in models])
        terms = (torch.logsumexp(members, dim=0) - math.log(len(models))).tolist()
    rows, start = [], 0
    for ids in target_ids:
        rows.append(terms[start : start + len(ids)])
        start += len(ids)
    return rows


def _forced(model: Transformer, source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]) -> Tensor:
    """Return the log-probabilities of all real tokens, [tokens], row after row."""
    device = next(model.parameters()).device
    filler = model.config.specials.pad
    source, source_mask = padded(source_ids, filler, device)
    output, output_mask = padded(target_ids, filler, device)
    shifted, _ = padded([[model.start_id, *ids[:-1]] for ids in target_ids], filler, device)
    memory = model.encode(source, source_mask=source_mask)
    # Padding stands after the real positions, which cannot see it: no target mask.
    hidden = model.decode(shifted, memory, source_mask=source_mask)[output_mask]
    wanted = output[output_mask]
    terms = []
    for some, ids in zip(torch.split(hidden, _POSITIONS_AT_ONCE), torch.split(wanted, _POSITIONS_AT_ONCE), strict=True):
        logits = model.project(some)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        log_probabilities = torch.log_softmax(logits, dim=-1)
        refuse_not_a_number(log_probabilities.amax(dim=1))
        terms.append(log_probabilities.gather(1, ids[:, None])[:, 0])
    return torch.cat(terms)


def padded(rows: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids [rows, longest] and where they are real."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(width, device=device) < lengths[:, None]


def forced_log_probabilities_by_steps(
    stepper: Stepper, source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Do the same over a stepper, a step at a time; the shorter targets leave as they end.

    Raises:
        RequestError: log-probabilities are no numbers.
    """
    found: list[list[float]] = [[] for _ in target_ids]
    with torch.inference_mode():
        stepper.start(source_ids)
        log_probabilities = stepper.step(None)
        # Longest first, so that those who leave are always the last rows.
        order = sorted(range(len(target_ids)), key=lambda row: -len(target_ids[row]))
        stepper.select(torch.tensor(order, device=log_probabilities.device))
        log_probabilities = log_probabilities[order]
        for step in range(len(target_ids[order[0]])):
            alive = [row for row in order if len(target_ids[row]) > step]
            if len(alive) < len(order):
                stepper.select(torch.arange(len(alive), device=log_probabilities.device))
            if step:
                last = torch.tensor([target_ids[row][step - 1] for row in alive], device=log_probabilities.device)
                log_probabilities = stepper.step(last)
            order = alive
            refuse_not_a_number(log_probabilities.amax(dim=1))
            wanted = torch.tensor([target_ids[row][step] for row in alive], device=log_probabilities.device)
            for row, term in zip(alive, log_probabilities.gather(1, wanted[:, None])[:, 0].tolist(), strict=True):
                found[row].append(term)
    return found
