"""What a request may cost is known before any of the work, and what costs too much is refused then."""

from __future__ import annotations

import pytest

from pellucid.errors import ConfigError, RequestError
from pellucid.page.answers_trace import make_record
from pellucid.serving.bounds import LONGEST_TEXT, MOST_ROWS, bytes_of_pass, refuse_heavy
from pellucid.tracing import making
from pellucid.translation.stepper import ModelStepper

from .kit import ask, client, opened_model

OPENED = opened_model()
LONG = opened_model(max_positions=1031)


@pytest.fixture
def nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every kind of work fail: what is refused is refused without it."""
    for owner, name in ((making, "prepare"), (making, "forced_pass"), (ModelStepper, "step")):
        monkeypatch.setattr(owner, name, lambda *arguments, **options: pytest.fail("something was computed"))


@pytest.mark.parametrize("text", ["a" + "\u0301" * 20_000, "a" + "\u200d" * 10_000, "a" * 5000, " " * 5000 + "a"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_text_that_is_no_sentence_is_refused_before_it_is_looked_at(
    text: str, side: str, nothing_works: None
) -> None:
    answer = ask(client(OPENED), **({"source": "a"} | {side: text}))
    assert answer.status_code == 400
    assert f"{side} has {len(text):,} characters; the limit on this page is 4,096" in answer.json()["error"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"source": "a" * 201}, "source has 201 pieces; the limit of a trace is 200"),
        ({"source": "a" * 1031, "target": "a"}, "source has 1,031 pieces; the limit of a trace is 1030"),
        ({"source": "a", "target": "a" * 1031}, "target has 1,031 pieces; the limit of a trace is 1030"),
    ],
)
def test_more_pieces_than_one_part_are_refused_with_the_limit(
    wish: dict[str, str], says: str, nothing_works: None
) -> None:
    answer = ask(client(LONG), **wish)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    "settings",
    [
        {"beam_size": 50, "max_length_constant": 1000},
        {"beam_size": 50, "max_length_factor": 1000},
        {"beam_size": 50, "max_length_constant": 1000, "min_length": 999},
        {"beam_size": 5, "max_length_constant": 10**9},
    ],
)
def test_a_search_that_would_keep_everybody_waiting_is_refused(
    settings: dict[str, object], nothing_works: None
) -> None:
    answer = ask(client(LONG), "ab c", settings=settings)
    assert answer.status_code == 400
    assert "rows; the limit on this page is 5,000; lower beam_size" in answer.json()["error"]


@pytest.mark.parametrize("wish", [{"settings": {"beam_size": 1, "max_length_constant": 900}}, {"target": "b" * 900}])
def test_a_trace_that_takes_too_much_memory_is_refused(wish: dict[str, object], nothing_works: None) -> None:
    answer = ask(client(LONG, trace_memory_bytes=20 << 20), "ab c", **wish)
    assert answer.status_code == 400
    assert "the limit on this page is 42 MB; give a shorter sentence, or start" in answer.json()["error"]


def test_the_usual_search_of_the_longest_sentence_is_allowed() -> None:
    """A beam of five over 200 pieces, as the settings of a model are where nobody changes them."""
    opened = opened_model(max_positions=1031)
    translator = opened.translator.with_settings(beam_size=5, max_length_factor=2.0, max_length_constant=20)
    refuse_heavy(translator, "a" * 200, target=None, settings={}, largest_bytes=512 << 20)
    assert MOST_ROWS > 5 * (201 + 422)
    assert LONGEST_TEXT >= 200 * 16, "and 200 pieces of the longest kind are no text that is too long"


@pytest.mark.parametrize("wish", [{}, {"target": "bcd ef"}])
def test_the_estimate_is_what_the_pass_holds(wish: dict[str, str]) -> None:
    trace = make_record(OPENED, "ab c", trace_id="x", target=wish.get("target")).trace
    assert OPENED.translator.model.config == trace.provenance.configuration
    held = sum(array.nbytes for array in trace.arrays.values())
    estimate = bytes_of_pass(
        OPENED.translator.model.config,
        source_length=trace.tokens.source_length,
        target_length=trace.tokens.target_length,
    )
    assert estimate == held, "one that has two names is counted twice on both sides"


def test_wrong_settings_are_told_as_ever() -> None:
    for settings, error in (
        ({"beam_size": 0}, ConfigError),
        ({"self": 1}, RequestError),
        ({"n_best": 2}, RequestError),
    ):
        with pytest.raises(error):
            refuse_heavy(OPENED.translator, "a", target=None, settings=settings, largest_bytes=1 << 30)
