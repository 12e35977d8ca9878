"""Draw translations at random from the model's own distribution, narrowed by temperature, top-k and top-p.

Each draw has its own stream of random numbers, made from the seed, the source ids and the draw's number.
So a sentence gives the same samples alone, in any batch and at any place of a file, and the same sentence
twice gives the same samples twice; another seed gives others. Read ``beam.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.translation.candidates import best_of_rows
from pellucid.translation.constraints import Constraints, max_length_of
from pellucid.translation.engines.chance import uniform_numbers
from pellucid.translation.greedy import rows_that_go_on, walk
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import ChosenToken, WalkObserver
from pellucid.translation.stepper import Stepper

__all__ = ["draw", "narrowed", "sample"]


def sample(
    stepper: Stepper,
    source_ids: Sequence[Sequence[int]],
    *,
    config: TranslationConfig,
    constraints: Constraints,
    observer: WalkObserver | None = None,
) -> list[list[Hypothesis]]:
    """Draw ``n_best`` translations of each sentence, independently.

    Returns:
        For every sentence its draws in the order in which they were drawn, not sorted by score: the first
        is a fair draw. Scores are the model's own log-probabilities, not those of the narrowed distribution.
    """
    each = config.n_best
    longest = [max_length_of(len(ids), config=config, stepper_max_length=stepper.max_length) for ids in source_ids]
    numbers = np.zeros((len(source_ids) * each, max(longest)))
    for sentence, ids in enumerate(source_ids):
        for number in range(each):
            steps = longest[sentence]
            numbers[sentence * each + number, :steps] = uniform_numbers(config.seed, ids, number, steps)
    uniform = torch.from_numpy(numbers)
    step = 0

    def choose(log_probabilities: Tensor, walks: Tensor) -> Tensor:
        nonlocal step
        drawn = uniform[walks.cpu(), step].to(log_probabilities.device)
        heat, top_k, top_p = config.temperature, config.top_k, config.top_p
        tokens = draw(log_probabilities, drawn, temperature=heat, top_k=top_k, top_p=top_p)
        if observer is not None:
            for row in rows_that_go_on(log_probabilities):
                own = log_probabilities[row]
                place = divmod(int(walks[row]), each)
                seen = narrowed(own, temperature=heat, top_k=top_k, top_p=top_p)
                observer.chosen(
                    ChosenToken(*place, step, own, int(tokens[row]), narrowed=seen, uniform=float(drawn[row]))
                )
        step += 1
        return tokens

    with torch.inference_mode():
        walks = walk(stepper, source_ids, each, config=config, constraints=constraints, choose=choose)
    return [walks[start : start + each] for start in range(0, len(walks), each)]


def draw(
    log_probabilities: Tensor, uniform: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Turn a uniform number of [0, 1) for each row into a token, by the inverse of the distribution function.

    The order of narrowing: the temperature divides the log-probabilities; ``top_k`` keeps the k most probable
    tokens; ``top_p`` keeps the fewest most probable tokens of these whose renormalised sum
    reaches it, always one at least. Equal tokens count by id. Minus infinity is never drawn.

    Args:
        log_probabilities: [rows, vocab]; need not be normalised.
        uniform: [rows] float64.
        temperature: over 1 flattens the distribution, under 1 sharpens it.
        top_k: how many tokens are kept; 0 is all.
        top_p: the probability that the kept tokens reach together; 1 is all.

    Returns:
        [rows] int64.
    """
    probabilities, columns = _kept(log_probabilities, temperature=temperature, top_k=top_k, top_p=top_p)
    summed = probabilities.cumsum(dim=1)
    # The first place whose sum is above the mark; places without probability do not raise the sum. In
    # float64 a uniform number, 1 - 2^-53 at most, keeps the mark below the whole sum after rounding too.
    mark = uniform.to(summed.dtype) * summed[:, -1]
    place = torch.searchsorted(summed, mark[:, None], right=True).clamp(max=summed.shape[1] - 1)
    return (place if columns is None else columns.gather(1, place)).flatten()


def narrowed(log_probabilities: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Return the log-probabilities [vocab] float64 that ``draw`` draws from; minus infinity where a token is cut.

    Args:
        log_probabilities: [vocab], of which one at least is over minus infinity.
        temperature: as for ``draw``, like the two that follow.
        top_k: number of tokens.
        top_p: probability that they reach.
    """
    kept, columns = _kept(log_probabilities[None], temperature=temperature, top_k=top_k, top_p=top_p)
    found = (kept[0] / kept[0].sum()).log()
    if columns is None:
        return found
    return torch.full_like(log_probabilities, -torch.inf, dtype=torch.float64).scatter(0, columns[0], found)


def _kept(log_probabilities: Tensor, *, temperature: float, top_k: int, top_p: float) -> tuple[Tensor, Tensor | None]:
    """Return the probabilities of the tokens that are kept, not renormalised after top-p, and their columns.

    No columns mean those of the vocabulary.
    """
    scaled = log_probabilities.double() / temperature
    columns = None
    if top_k or top_p < 1:
        scaled, columns = best_of_rows(scaled, top_k or scaled.shape[1])
    probabilities = torch.softmax(scaled, dim=1)
    # A row of nothing but minus infinity becomes NaN; its walk has ended, and any token will do.
    probabilities = torch.nan_to_num(probabilities, nan=0.0)
    if top_p < 1:
        before = probabilities.cumsum(dim=1) - probabilities
        probabilities = torch.where(before < top_p, probabilities, 0.0)
    return probabilities, columns
