"""Write the card of a model: a page for people that describes its data, its training and its scores."""

from __future__ import annotations

from collections.abc import Mapping

from pellucid.config import Recipe, to_toml
from pellucid.evaluation.metrics import Score
from pellucid.jobs.prepare import PreparedData
from pellucid.version import __version__

__all__ = ["write_card"]


def write_card(
    recipe: Recipe,
    data: PreparedData,
    *,
    facts: Mapping[str, float | str],
    score: Score | None,
    num_parameters: int,
) -> str:
    """Return the card as Markdown. Nothing reads it, so people may edit it."""
    languages = f"{recipe.data.src_lang} → {recipe.data.tgt_lang}"
    lines = [f"# A translator, {languages}", ""]
    if recipe.description:
        lines += [recipe.description, ""]
    lines += [
        f"Trained with pellucid {__version__}. A Transformer (Vaswani et al. 2017) with "
        f"{num_parameters:,} parameters: {recipe.model.num_encoder_layers} encoder and "
        f"{recipe.model.num_decoder_layers} decoder layers, d_model {recipe.model.d_model}, "
        f"feed-forward {recipe.model.d_feedforward}, {recipe.model.num_heads} heads.",
        "",
        "## Data",
        "",
        *(f"* {line}" for line in data.summary),
        "",
        "## Scores",
        "",
        *(f"* {name}: {value}" for name, value in facts.items()),
    ]
    if score is not None:
        lines.append(f"* validation, greedy search, {len(data.valid_pairs):,} sentences at most: {score}")
    lines += ["", "## Recipe", "", "```toml", to_toml(recipe).strip(), "```", ""]
    return "\n".join(lines)
