"""A translator of few words, and searches that come to every end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from pellucid.tracing.searching import making
from pellucid.tracing.searching.record import SearchTree
from pellucid.translation.translator import Translator

from ..kit import WordTokenizer, make_model

TEXT = "ein Hund rennt zwei Katze"
SEARCHES: list[dict[str, object]] = [
    *(
        {"beam_size": beam, "length_penalty": form, "alpha": alpha}
        for beam, (form, alpha) in product((2, 3, 5), [("none", 1.0), ("average", 0.7), ("gnmt", 1.3)])
    ),
    {"beam_size": 8, "length_penalty": "none"},
    {"beam_size": 1},
    {"beam_size": 3, "min_length": 4, "no_repeat_ngram_size": 2},
    {"beam_size": 3, "max_length_factor": 0.01, "max_length_constant": 5},
    {"beam_size": 2, "banned_tokens": ("▁dog",)},
    {"beam_size": 11, "max_length_factor": 0.01, "max_length_constant": 3},
    {"sampling": True, "temperature": 1.3},
    {"sampling": True, "top_k": 3, "seed": 4},
    {"sampling": True, "top_p": 0.6, "temperature": 0.8, "seed": 8},
    {"sampling": True, "top_k": 4, "top_p": 0.7, "seed": 2},
]


def translator(seed: int = 5, dtype: torch.dtype = torch.float64) -> Translator:
    tokenizer = WordTokenizer()
    model = make_model(tokenizer, seed=seed, noise=0.3).to(dtype)
    return Translator(model, tokenizer)  # type: ignore[arg-type]


def search_tree(
    own: Translator,
    text: str,
    *,
    reference: str | None = None,
    between_steps: Callable[[], None] = lambda: None,
    **settings: object,
) -> SearchTree:
    return making.search_tree(own, text, reference=reference, settings=settings, between_steps=between_steps)


def source_ids(own: Translator) -> list[int]:
    return [*own.tokenizer.encode_source([TEXT])[0], own.tokenizer.specials.eos]
