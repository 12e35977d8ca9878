"""The numbers that the guide for teachers quotes about interventions are those of the walkthrough model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import pytest

import pellucid
from pellucid.analysis.alignment import links_of_trace
from pellucid.analysis.attribution.methods import attribute_trace
from pellucid.analysis.effect import Effect, edit_trace
from pellucid.analysis.head_effects import head_effects, heads_of
from pellucid.analysis.lens import logit_lens
from pellucid.jobs.serve import walkthrough_folder
from pellucid.sample.corpus import build_corpus
from pellucid.sample.words import split_words
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.translation.alignment.heads import AlignmentStep

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "teaching.md").read_text(encoding="utf-8")
GOLD: Final = ROOT / "src" / "pellucid" / "web" / "modules" / "views" / "why" / "gold.js"
TIRED, WIDE = (pair.source for pair in build_corpus(seed=1, train_size=0, valid_size=0, test_size=0).walkthrough[:2])
MOST_EFFECT: Final = "decoder.5.cross_attention.head.4=zero"
EXPECTED: Final = "L'animal n'a pas traversé la rue parce qu'elle était trop fatiguée."


def answer(number: int) -> str:
    """Return the answer to a question, in one line."""
    found = re.search(rf"^\*\*{number}\. .*?\*\*\n(.*?)(?:\n\n|\Z)", GUIDE, flags=re.M | re.S)
    assert found, number
    return " ".join(found[1].split())


def test_twenty_questions_in_their_order() -> None:
    section = GUIDE.split("## Ten more questions")[1].split("\n## ")[0]
    found = re.findall(r"^\*\*(\d+)\. .+\?\*\*\n\*Chapter \d", section, flags=re.M)
    assert [int(number) for number in found] == list(range(11, 21))


@pytest.fixture(scope="module")
def trace_of() -> Callable[[str], Trace]:
    translator = pellucid.load(walkthrough_folder(), engine="torch", threads=1)
    return lambda text: pellucid.trace(translator, text)


@pytest.fixture(scope="module")
def tired(trace_of: Callable[[str], Trace]) -> Trace:
    return trace_of(TIRED)


@pytest.fixture(scope="module")
def step(tired: Trace) -> int:
    found = tired.tokens.predicted_pieces.index("il")
    assert found == int(logs_of(tired).argmin()) == 13, "the step that the chapters begin at"
    return found


def percent(log_probability: float) -> str:
    return f"{100 * np.exp(log_probability):#.3g} %"


def logs_of(trace: Trace) -> Array:
    assert trace.predictions is not None
    return trace.predictions.target_log_probability


def test_the_head_that_matters_most_is_not_the_one_with_the_largest_weight(tired: Trace, step: int) -> None:
    assert tired.model is not None
    before, effects = logs_of(tired)[step], head_effects(tired)[:, step]
    heads = [str(head) for head in heads_of(tired.model.config)]
    most = int(np.abs(effects).argmax())
    largest = max(
        (float(tired[f"decoder.{layer}.{kind}.weights"][head, step].max()), f"decoder.{layer}.{kind}.head.{head}")
        for kind in ("self_attention", "cross_attention")
        for layer in range(6)
        for head in range(8)
    )
    assert heads[most] == MOST_EFFECT
    assert largest[1] == "decoder.3.self_attention.head.0"
    said = answer(11)
    assert f"{largest[0]:.3f} on *qu*" in said
    assert f"from {percent(before)} to {percent(before + effects[most])}" in said
    assert percent(before + effects[heads.index(f"{largest[1]}=zero")]) in said.split("that head")[1]


def test_switched_off_and_forced(tired: Trace, step: int) -> None:
    off: Effect = edit_trace(tired, [MOST_EFFECT, "decoder.4.cross_attention.head.5=zero"])
    assert off.divergence is None
    assert percent(off.old_after[step]) in answer(12)
    forced = edit_trace(tired, [f'step.{step}="elle"'])
    assert forced.after.text == EXPECTED
    assert (forced.old_after == forced.old_before).all(), "the model itself does not change"
    for number in (f"{-forced.old_after[step]:.4f}", f"{-forced.new_after[step]:.2f}", percent(forced.new_after[step])):
        assert number in answer(13)


def test_parts_add_up_to_what_the_guide_says(tired: Trace, step: int) -> None:
    why = attribute_trace(tired, method="alti_logit", step=step, against="elle")
    (strongest,) = why.ranked(step)[:1]
    assert why.expected_sum is not None
    assert why.error.max() < 1e-5
    score, must = float(why.score[0]), float(why.expected_sum[0])
    for said in (f"+{strongest.part:.2f}", f"{score:.4f}", f"{must:.4f}", f"{score - must:.5f}"):
        assert said in answer(14)
    assert strongest.text == "▁animal"
    gradients = attribute_trace(tired, method="integrated_gradients", step=step, against="elle", points=8)
    assert gradients.expected_sum is not None
    assert f"{gradients.expected_sum[0]:.4f}" in answer(18)


def test_what_the_search_and_the_lens_say(tired: Trace, step: int) -> None:
    assert tired.translator is not None
    for trace in (tired, pellucid.trace(tired.translator, TIRED, target=EXPECTED)):
        assert f"{logs_of(trace).mean():.4g}".replace("-", "−") in answer(15)
    lens = logit_lens(tired, top=2, step=step)
    layer_3 = lens.top_log_probabilities[lens.sites.index("decoder.3.feed_forward_norm"), 0]
    assert all(f"{100 * probability:.0f} %" in answer(16) for probability in np.exp(layer_3))
    first = next(i for i in range(len(lens.sites)) if not lens.target_rank[i:, 0].any())
    assert lens.sites[first] == "decoder.2.cross_attention_norm"


def test_what_the_other_sentence_changes(tired: Trace, step: int, trace_of: Callable[[str], Trace]) -> None:
    wide = trace_of(WIDE)
    comparison = pellucid.compare(tired, wide)
    assert comparison.divergence == step
    for trace in (tired, wide):
        assert trace.translator is not None
        ids = [trace.translator.tokenizer.target_id(piece) for piece in ("il", "elle")]
        assert all(percent(log) in answer(17) for log in trace["log_probabilities"][step, ids])
    assert np.abs(np.exp(logs_of(tired)[:step]) - np.exp(logs_of(wide)[:step])).max() < 0.005, "nearly nothing"


def test_the_links_that_the_page_knows_are_those_of_the_grammar(tired: Trace) -> None:
    (pair,) = build_corpus(seed=1, train_size=0, valid_size=0, test_size=0).walkthrough[:1]
    known = sorted({(_place(pair.source, i), _place(pair.target, j)) for i, j in pair.links})
    assert " ".join(f"{i}-{j}" for i, j in known) in GOLD.read_text(encoding="utf-8")
    found = links_of_trace(tired)
    assert found.by_named is not None
    assert found.contributions is not None

    def rate(links: Iterable[tuple[int, int]]) -> float:
        own = {(i, j) for i, j in links}
        return 1 - 2 * len(own & set(known)) / (len(own) + len(known))

    assert rate(found.contributions) == 0, "ALTI+ finds every link"
    assert f"error rate of {rate(found.by_named):.2g};" in answer(20)
    rates = {
        (layer, head): rate(links)
        for layer, heads in enumerate(found.heads[AlignmentStep.WRITES])
        for head, links in enumerate(heads)
    }
    (layer, head), least = min(rates.items(), key=lambda item: item[1])
    assert f"head {head} of layer {layer} has the lowest, {least:.4g}." in answer(20)


def _place(text: str, word: int) -> int:
    """Return the number of a word of the grammar among those between spaces."""
    at = 0
    for one in split_words(text)[: word + 1]:
        start = text.index(one, at)
        at = start + len(one)
    return text[:start].count(" ")


def test_what_was_measured_of_the_methods_and_heads() -> None:
    measured = json.loads((walkthrough_folder() / "measured.json").read_text(encoding="utf-8"))["why"]
    assert f"({measured['faithfulness']['nats']['random'][0]:.2f} nats" in answer(19)
    assert measured["nouns"]["methods"]["alti_logit"]["referent_over_other"] == 1
