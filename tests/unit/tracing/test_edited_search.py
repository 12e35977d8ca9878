"""A search with edits computes what the whole pass with the same edits computes, and no more often than it must."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.effect import edit_trace
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing import search, steps
from pellucid.tracing.editing.plan import value_edits
from pellucid.tracing.editing.recorder import Editor, Others, others_of
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import edit_list
from pellucid.tracing.edits import ValueEdit
from pellucid.tracing.making import trace
from pellucid.translation.translator import Translator

TRANSLATOR = make_translator()
SAMPLE = Sample.of([("ein Hund", "a dog"), ("zwei Katze rennt", "dog runs a")])
MEAN = f"mean:{SAMPLE.sha256[:12]}"
EDITS = [
    "decoder.0.self_attention.head.1=zero",
    f"decoder.1.cross_attention.head.0={MEAN}",
    f"decoder.0.feed_forward={MEAN}",
    "decoder.1.cross_attention=zero",
    f"decoder.1.feed_forward.unit.2,3={MEAN}; decoder.1.feed_forward.unit.3=zero",
    f"decoder.0.self_attention.head.1=zero; decoder.0.self_attention.head.1={MEAN}",
    f"decoder.0.self_attention={MEAN}; decoder.0.self_attention.head.1=zero",
    "decoder.cross_attention.value.1=zero; encoder.0.self_attention.head.0=mean; decoder.1.feed_forward=zero",
    "positions=zero",
    "positions=half_split_t2t; decoder.0.feed_forward=zero",
    "decoder.0.self_attention.head.1=mean",
    "decoder.0.feed_forward=mean; decoder.1.cross_attention.head.0.row.2=mean; decoder.1.feed_forward.unit.1,4=mean",
    'decoder.1.cross_attention.head.0.row.2=from:"ein Katze"; decoder.0.self_attention.head.1=from:"ein Katze"',
    "decoder.1.self_attention.head.0.row.2=0.25,0.5,0.25",
    "decoder.0.self_attention.head.1.row.1=zero",
    "decoder.0.cross_attention.head.0.row.1=0.5,0.5,0,0",
    'decoder.1.feed_forward=from:"zwei Hund rennt"',
    f"decoder.0.cross_attention.head.1.row.3={MEAN}; positions=zero",
    'positions=zero; decoder.0.cross_attention.head.1=from:"zwei Hund rennt ein Katze"; '
    "decoder.1.cross_attention.head.0.row.1=0.5,0.5,0,0; decoder.cross_attention.value.0=zero",
    'decoder.1.feed_forward=from:"ein Katze"; decoder.0.feed_forward.unit.2=from:"zwei Hund rennt ein"',
    'encoder.0.self_attention.head.0=from:"zwei Katze rennt"; decoder.1.feed_forward=zero',
]
SOURCE_IDS = [*TRANSLATOR.tokenizer.encode_source(["ein Hund rennt"])[0], TRANSLATOR.tokenizer.specials.eos]
STEPS: list[tuple[list[int] | None, list[int]]] = [
    (None, [0, 0, 0]),
    *((ids, [2, 0, 1]) for ids in ([4, 7, 9], [8, 8, 5], [6, 12, 4])),
]
"""The pieces that each row is fed, and the rows that go on."""


def whole(text: str) -> list[torch.Tensor]:
    """Return the log-probabilities of four steps of a beam, each computed by full passes over the rows so far."""
    model, edits, others = parts(text)
    editor = Editor(edits, model, others=others)
    fed, found = torch.full((1, 1), model.start_id), []
    with torch.inference_mode():
        memory = editor.encode(torch.tensor([SOURCE_IDS]))
        for ids, rows in STEPS:
            if ids is not None:
                fed = torch.cat([fed, torch.tensor(ids)[:, None]], dim=1)
            hidden = editor.decode(fed, memory.expand(len(fed), -1, -1))
            found.append(torch.log_softmax(model.project(hidden[:, -1]), dim=-1))
            fed = fed[torch.tensor(rows)]
    return found


def cached(text: str) -> list[torch.Tensor]:
    """Return the same from the stepper of the search."""
    model, edits, others = parts(text)
    stepper, found = search.EditedStepper(model, edits, others), []
    with torch.inference_mode():
        stepper.start([SOURCE_IDS])
        for ids, rows in STEPS:
            found.append(stepper.step(None if ids is None else torch.tensor(ids)))
            stepper.select(torch.tensor(rows))
    return found


def parts(text: str) -> tuple[Transformer, tuple[ValueEdit, ...], Others]:
    edits = value_edits(edit_list(text.split("; "), samples=[SAMPLE]))
    return TRANSLATOR.model, edits, others_of(edits, TRANSLATOR.model, TRANSLATOR.tokenizer)


@pytest.mark.parametrize("text", EDITS)
def test_a_step_with_edits_is_the_last_row_of_the_whole_pass(text: str) -> None:
    before = {name: tensor.clone() for name, tensor in TRANSLATOR.model.state_dict().items()}
    for one, other in zip(cached(text), whole(text), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in TRANSLATOR.model.state_dict().items())


def test_each_position_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a search with edits grows with its length, not with the square of it."""
    times: list[int] = []
    explicit = steps.explicit_attention

    def seen(queries: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
        times.append(queries.shape[-2])
        return explicit(queries, *more, **named)

    monkeypatch.setattr(steps, "explicit_attention", seen)
    monkeypatch.setattr(Transformer, "decode", lambda *more, **named: pytest.fail("a full pass in a search"))
    for text in EDITS:
        cached(text)
    assert set(times) == {1}


def test_a_forced_piece_takes_one_search_where_the_one_before_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trace(TRANSLATOR, "ein Hund rennt")
    searches: list[str] = []
    translate = Translator.translate

    def counted(self: Translator, texts: Any, **settings: Any) -> Any:
        searches.append(texts)
        return translate(self, texts, **settings)

    monkeypatch.setattr(Translator, "translate", counted)
    for edits, count in ((["step.1=dog"], 1), (["step.1=dog", "step.2=a"], 2), (["step.1=dog", "ban=runs"], 2)):
        searches.clear()
        alone = trace(TRANSLATOR, "ein Hund rennt", edits=edits)
        wanted = len(searches)
        searches.clear()
        effect = edit_trace(before, edits)
        assert effect.after == alone
        assert (len(searches), wanted) == (count, 1 + sum(edit.startswith("step") for edit in edits))
    searches.clear()
    trace(TRANSLATOR.with_settings(beam_size=2), "ein Hund rennt", edits=["step.1=dog"], before=before)
    assert len(searches) == 2, "the search before was another one"
