"""A batch that is gathered on the device is the batch of ``text.batching``, with padding around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pellucid.text.batching import make_batch
from pellucid.training.gpu.corpus import Corpus, ResidentCorpus, StreamedCorpus, corpus_on
from pellucid.training.gpu.shapes import Shape

from ..kit import SPECIALS, ArrayStore, reversal_store

CPU = torch.device("cpu")
SHAPE = Shape(13, 11, 17)
ROWS = np.array([7, 3, 40, 21, 3])


@pytest.fixture(params=[ResidentCorpus, StreamedCorpus])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    made: Corpus = request.param(reversal_store(pairs=41, seed=1), CPU, specials=SPECIALS, start_id=SPECIALS.bos)
    return made


def test_the_batch_is_that_of_the_text_room(corpus: Corpus) -> None:
    expected = make_batch(reversal_store(pairs=41, seed=1), ROWS, specials=SPECIALS, start_id=SPECIALS.bos)  # type: ignore[arg-type]
    feed = corpus.buffers(SHAPE)
    corpus.fill(feed, np.arange(13), SHAPE)  # what an earlier step left
    corpus.fill(feed, ROWS, SHAPE)
    batch = corpus.batch(feed, SHAPE)
    count, source = expected.source_ids.shape
    target = expected.target_input_ids.shape[1]
    weights = batch.target_weights.view(SHAPE.rows, SHAPE.target)
    for ours, theirs in (
        (batch.source_ids[:count, :source], expected.source_ids),
        (batch.source_mask[:count, :source], expected.source_mask),
        (batch.target_input_ids[:count, :target], expected.target_input_ids),
        (batch.target_ids.view(SHAPE.rows, SHAPE.target)[:count, :target], expected.target_output_ids),
        (weights[:count, :target], expected.target_mask),
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    assert weights.sum() == expected.num_target_tokens
    assert not batch.source_mask[:count, source:].any()
    assert (batch.source_ids[:count, source:] == SPECIALS.pad).all()


def test_a_padding_row_has_one_token_to_attend_to_and_none_to_predict(corpus: Corpus) -> None:
    feed = corpus.buffers(SHAPE)
    corpus.fill(feed, ROWS, SHAPE)
    batch = corpus.batch(feed, SHAPE)
    padding = slice(len(ROWS), None)
    assert batch.source_mask[padding].sum(1).eq(1).all()
    assert batch.source_ids[padding, 0].eq(SPECIALS.eos).all()
    assert not batch.target_weights.view(SHAPE.rows, SHAPE.target)[padding].any()


def test_empty_sentences_and_the_last_row_are_read_within_bounds() -> None:
    store = ArrayStore([[5], [], [6, 7]], [[], [8, 9], [4]])
    resident, streamed = (
        kind(store, CPU, specials=SPECIALS, start_id=SPECIALS.bos)  # type: ignore[arg-type]
        for kind in (ResidentCorpus, StreamedCorpus)
    )
    shape, batches = Shape(3, 5, 7), []
    for corpus in (resident, streamed):
        feed = corpus.buffers(shape)
        corpus.fill(feed, np.array([2, 1, 0]), shape)
        batches.append(corpus.batch(feed, shape))
    for name in ("source_ids", "source_mask", "target_input_ids", "target_ids", "target_weights"):
        assert torch.equal(*(getattr(batch, name) for batch in batches)), name
    assert batches[0].target_weights.view(3, 7).sum(1).tolist() == [2, 3, 1]


def test_a_processor_keeps_the_corpus() -> None:
    corpus = corpus_on(reversal_store(pairs=41, seed=1), CPU, specials=SPECIALS, start_id=1)  # type: ignore[arg-type]
    assert isinstance(corpus, ResidentCorpus)
    assert "MiB" in corpus.to_text()
