"""The queue: who is next, who is refused, who is left out. A clock that stands still, and no threads."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.serving.scheduling.queue import FullError, QueueBounds, WorkQueue
from pellucid.serving.scheduling.work import Batch, Group, Sentence, Work


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


FRENCH, GERMAN = Group("french"), Group("german")


def queue_of(clock: Clock | None = None, **bounds: int) -> WorkQueue:
    limits = {"tokens": 1000, "requests": 100, "batch_tokens": 10, "workers": 1}
    return WorkQueue(QueueBounds(**(limits | bounds)), clock=clock or Clock())


def work(name: str, *sizes: int, group: Group = FRENCH, deadline: float = 100.0, **more: Any) -> Work:
    sentences = [Sentence(f"{name}{i}", size) for i, size in enumerate(sizes)]
    return Work(group, sentences, deadline, on_done=lambda outcomes: None, **more)


def texts(batch: Batch | None) -> list[str]:
    assert batch is not None
    return [sentence.text for sentence in batch.sentences]


def rest_of(queue: WorkQueue) -> list[list[str]]:
    queue.close()
    batches = []
    while (batch := queue.take()) is not None:
        batches.append(texts(batch))
        queue.finish(batch, 1.0)
    return batches


def test_sentences_of_different_requests_share_a_batch_and_requests_take_turns() -> None:
    queue = queue_of()
    for one in (work("a", 3, 3, 3), work("b", 3), work("c", 3)):
        queue.add(one)
    assert rest_of(queue) == [["a0", "b0", "c0"], ["a1", "a2"]]


def test_models_and_settings_never_mix_and_take_turns() -> None:
    queue = queue_of()
    for one in (work("a", 10, 10), work("b", 10, group=GERMAN), work("c", 10, group=Group("french", (("n", 1),)))):
        queue.add(one)
    assert rest_of(queue) == [["a0"], ["b0"], ["c0"], ["a1"]]


def test_a_sentence_over_the_limit_of_a_batch_is_a_batch_alone() -> None:
    queue = queue_of()
    queue.add(work("a", 4, 50, 4))
    assert rest_of(queue) == [["a0"], ["a1"], ["a2"]]


def test_a_batch_leaves_work_for_the_other_threads() -> None:
    queue = queue_of(workers=2, batch_tokens=100)
    queue.add(work("a", 5, 5, 5, 5))
    assert rest_of(queue) == [["a0", "a1"], ["a2"], ["a3"]]


def test_interactive_work_goes_first_and_every_fifth_batch_is_bulk() -> None:
    queue = queue_of()
    queue.add(work("bulk", 10, 10, is_bulk=True))
    for number in range(6):
        queue.add(work(f"i{number}-", 10))
    order = [batch[0] for batch in rest_of(queue)]
    assert order == ["i0-0", "i1-0", "i2-0", "i3-0", "bulk0", "i4-0", "i5-0", "bulk1"]


def test_a_full_queue_refuses_in_tokens_and_says_when_to_come_back() -> None:
    queue = queue_of(tokens=20)
    queue.add(work("a", 10))
    assert queue.tokens == 10
    with pytest.raises(FullError) as refusal:
        queue.add(work("b", 11))
    assert 1 <= refusal.value.retry_after_seconds <= 30
    queue.add(work("c", 10))
    assert (queue.tokens, queue.requests) == (20, 2)
    assert rest_of(queue) == [["a0"], ["c0"]]
    assert (queue.tokens, queue.requests) == (0, 0)


def test_a_request_over_the_whole_limit_is_let_into_an_empty_queue() -> None:
    queue = queue_of(tokens=20)
    queue.add(work("a", 30))
    with pytest.raises(FullError):
        queue.add(work("b", 1))


def test_a_full_queue_refuses_in_requests() -> None:
    queue = queue_of(requests=1)
    queue.add(work("a", 1))
    with pytest.raises(FullError):
        queue.add(work("b", 1))


def test_the_time_to_come_back_is_what_waits_by_the_speed() -> None:
    queue = queue_of(batch_tokens=10)
    queue.add(work("a", *[10] * 9))
    batch = queue.take()
    assert batch is not None
    queue.finish(batch, 1.0)  # ten tokens a second, and eighty are left
    assert queue.retry_after_seconds() == 8


def test_slow_small_batches_say_little_of_a_full_queue() -> None:
    clock = Clock()
    queue = queue_of(clock, batch_tokens=100)
    for number, (tokens, seconds) in enumerate([(2, 8.0), *[(2, 0.5)] * 4, *[(100, 1.0)] * 10]):
        queue.add(work(f"{number}-", tokens))
        clock.now += seconds
        batch = queue.take()
        assert batch is not None
        queue.finish(batch, seconds)
    queue.add(work("a", *[100] * 2))
    assert queue.retry_after_seconds() == 3, "the small ones are 10 seconds ago, and had few of the tokens"


def test_work_whose_deadline_has_passed_is_not_begun() -> None:
    clock = Clock()
    queue = queue_of(clock)
    queue.add(work("a", 5, deadline=1.0))
    queue.add(work("b", 5, deadline=3.0))
    clock.now = 2.0
    assert rest_of(queue) == [["b0"]]
    assert (queue.tokens, queue.requests) == (0, 0)


def test_cancelled_work_leaves_the_queue_and_its_running_sentences_are_dropped() -> None:
    queue = queue_of()
    gone, other = work("a", 4, 4, 4), work("b", 4)
    queue.add(gone)
    queue.add(other)
    batch = queue.take()
    assert batch is not None
    assert texts(batch) == ["a0", "b0"]
    queue.cancel(gone)
    assert [place for place in range(2) if place in batch.drops] == [0]
    assert queue.tokens == 8
    assert queue.finish(batch, 1.0) == [(other, [1])]
    assert rest_of(queue) == []
    assert (queue.tokens, queue.requests) == (0, 0)
