"""The device engine finds what the search in torch finds: the same ids, and log-probabilities within 1e-4.

Here it runs on the processor, in the code that a GPU runs, without graphs. ``test_device_cuda.py`` is for a GPU.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.equivalence.clear_models import EOS, SHORT, VARIANTS, VOCAB, clear_model, sentences
from tests.equivalence.device_kit import by_torch, compare, engine_of, refuse_difference, request

import pellucid
from pellucid.jobs.models import open_translator
from pellucid.translation.candidates import NOT_NUMBERS
from pellucid.translation.engines.device import engine as module
from pellucid.translation.engines.device.network import Network
from pellucid.translation.engines.device.selection import best_of_groups
from pellucid.translation.engines.device.slots import Size, Slots
from pellucid.translation.translator import Translator

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
TEXTS = [
    "The animal didn't cross the street because it was too wide.",
    "I am a student.",
    "The cat that the dogs saw is small.",
    "Where is the house?",
    "She gives the book to the child who was tired.",
    "We do not see the red car.",
    "cat",
]

SEARCHES: dict[str, dict[str, object]] = {
    "greedy": {"beam_size": 1},
    "beam 4": {"beam_size": 4},
    "beam 5": {"beam_size": 5},
    "beam 10": {"beam_size": 10},
    "list of 4": {"beam_size": 4, "n_best": 4},
    "list of 3": {"beam_size": 10, "n_best": 3},
    "gnmt": {"beam_size": 5, "length_penalty": "gnmt", "alpha": 0.6},
    "gnmt list": {"beam_size": 5, "n_best": 2, "length_penalty": "gnmt", "alpha": 2.0},
    "no penalty": {"beam_size": 4, "length_penalty": "none"},
    "minimum length": {"beam_size": 4, "min_length": 9},
    "greedy, minimum length": {"beam_size": 1, "min_length": 9},
    "short limit": {"beam_size": 4, "max_length_factor": 0.2, "max_length_constant": 2},
    "short limit, list": {"beam_size": 4, "n_best": 4, "max_length_factor": 0.2, "max_length_constant": 2},
    "wide beam": {"beam_size": 40, "n_best": 40, "max_length_constant": 3, "max_length_factor": 0.3},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("search", ["greedy", "beam 4"])
def test_every_model_gives_the_hypotheses_of_torch(variant: str, search: str) -> None:
    found = compare(clear_model(**VARIANTS[variant]), SEARCHES[search])
    assert len({len(one[0].ids) for one in found.values()}) > 1, "sentences of one length would test little"


@pytest.mark.parametrize("rows_at_once", [0, 17])
@pytest.mark.parametrize("search", SEARCHES)
def test_every_setting_gives_the_hypotheses_of_torch(search: str, rows_at_once: int) -> None:
    """With 17 rows there are fewer slots than sentences, which leave and come at different steps."""
    compare(clear_model(), SEARCHES[search], rows_at_once=rows_at_once)


@pytest.mark.parametrize("settings", [{"beam_size": 4}, {"beam_size": 1}, {"beam_size": 3, "n_best": 3}])
def test_a_sentence_does_not_depend_on_the_others(settings: dict[str, object]) -> None:
    engine = engine_of(clear_model(), rows_at_once=16)
    sources, settings = sentences(9), SHORT | settings
    together = dict(engine.search(request(sources, settings)))
    other_order = dict(engine.search(request(sources[::-1], settings)))
    alone = {place: dict(engine.search(request([ids], settings)))[0] for place, ids in enumerate(sources)}
    refuse_difference(together, alone, tolerance=1e-5)
    refuse_difference({8 - place: one for place, one in other_order.items()}, alone, tolerance=1e-5)


@pytest.mark.parametrize("memory", [1 << 20, 1 << 30])
def test_sentences_of_all_lengths_share_a_call(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With little memory the long ones have slots of their own."""
    monkeypatch.setattr(module.DeviceEngine, "_memory", lambda self: memory)
    model = clear_model(max_positions=200)
    sources = [[*range(4, 4 + length), EOS] for length in (1, 2, 5, 30, 31, 32, 63, 64, 70, 140, 3)]
    wanted = request(sources, {"beam_size": 3, "max_length_factor": 0.3, "max_length_constant": 30})
    refuse_difference(dict(engine_of(model, rows_at_once=6).search(wanted)), by_torch(model, wanted))


def test_ends_and_dead_ends_are_those_of_torch() -> None:
    """Where few tokens may come, rows have no continuation, and where none may, a sentence keeps what it has."""
    model = clear_model()
    sources = sentences(9)
    for left in ([EOS], [EOS, 9], [EOS, 9, 40]):
        forbidden = [index for index in range(VOCAB) if index not in left]
        for settings in ({"beam_size": 4}, {"beam_size": 4, "n_best": 4}, {"beam_size": 1}, {"min_length": 5}):
            wanted = request(sources, SHORT | settings, forbidden=forbidden)
            refuse_difference(dict(engine_of(model).search(wanted)), by_torch(model, wanted))


@pytest.mark.parametrize("settings", [{"beam_size": 4}, {"beam_size": 4, "n_best": 4}, {"beam_size": 1}])
def test_where_no_token_may_come_a_sentence_keeps_what_it_has(settings: dict[str, object]) -> None:
    model = clear_model(output_bias=True)
    with torch.no_grad():
        model.projection.bias[EOS] = -torch.inf
    wanted = request(sentences(5), settings, forbidden=[index for index in range(VOCAB) if index != EOS])
    found = dict(engine_of(model).search(wanted))
    refuse_difference(found, by_torch(model, wanted))
    assert found[0][0].ids == ()


@pytest.mark.parametrize("settings", [{"beam_size": 1}, {"beam_size": 5}, {"beam_size": 4, "n_best": 4}])
def test_of_equal_candidates_the_first_comes_first(settings: dict[str, object]) -> None:
    model = clear_model(share_embeddings=False, share_decoder_embeddings=False)
    with torch.no_grad():
        model.projection.weight[4:] = model.projection.weight[4:14].repeat(15, 1)[: VOCAB - 4]
    wanted = request(sentences(11), SHORT | settings, key_of=tuple)
    refuse_difference(dict(engine_of(model).search(wanted)), by_torch(model, wanted))


@given(
    values=st.lists(st.sampled_from([-torch.inf, -3.5, -1.0, 0.0, 2.0]), min_size=96, max_size=96),
    count=st.integers(1, 20),
    group=st.sampled_from([4, 8, 16]),
)
def test_the_best_of_groups_are_the_best(values: list[float], count: int, group: int) -> None:
    table = torch.tensor(values).view(2, 48)
    ordered, columns = table.sort(dim=1, descending=True, stable=True)
    found, places = best_of_groups(table, count, group)
    assert torch.equal(found, ordered[:, :count])
    assert torch.equal(places, columns[:, :count])


@pytest.mark.parametrize("settings", [{"beam_size": 2}, {"beam_size": 2, "n_best": 2}])
def test_a_sentence_without_numbers_fails_alone(settings: dict[str, object]) -> None:
    model = clear_model(share_embeddings=False)
    with torch.no_grad():
        model.source_embedding.weight[77] = torch.nan
    sources, settings = sentences(12), SHORT | settings
    broken = [[5, 77, EOS], [77, EOS]]
    mixed = [*sources[:5], broken[0], *sources[5:9], broken[1], *sources[9:]]
    found = dict(engine_of(model, rows_at_once=4).search(request(mixed, settings)))
    assert found.pop(5) == found.pop(10) == NOT_NUMBERS
    expected = by_torch(model, request([ids for ids in mixed if 77 not in ids], settings))
    refuse_difference(dict(enumerate(found[place] for place in sorted(found))), expected)


def test_a_text_that_does_not_fit_fails_alone() -> None:
    model = clear_model()
    wanted = request([[5, EOS], [*[5] * 61, EOS]], {"beam_size": 2})
    assert dict(engine_of(model).search(wanted))[1] == by_torch(model, wanted)[1]
    wanted = request([[5, EOS], [*[5] * 30, EOS]], {"min_length": 6, "max_length_constant": 1, "max_length_factor": 1})
    assert (
        dict(engine_of(model).search(wanted))[0] == "min_length = 6, but a translation of this text has at most 2 "
        "tokens; lower min_length, or raise max_length_constant or max_length_factor"
    )


@pytest.mark.parametrize("most", [0, 1, 4])
def test_where_memory_is_short_fewer_slots_do(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(Slots):
        def __init__(self, network: Network, size: Size) -> None:
            if size.slots > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(network, size)

    model = clear_model()
    wanted = request(sentences(11), SHORT | {"beam_size": 3})
    monkeypatch.setattr(module, "Slots", Short)
    found = dict(engine_of(model).search(wanted))
    if most:
        refuse_difference(found, by_torch(model, wanted))
    else:
        assert all("not enough memory" in one for one in found.values())


@pytest.fixture(scope="module")
def by_device() -> tuple[Translator, list[str]]:
    """Return the walkthrough on this engine, and what it says."""
    said: list[str] = []
    return open_translator(MODEL, engine="device", device="cpu", say=said.append), said


@pytest.fixture(scope="module")
def by_torch_exactly() -> Translator:
    return open_translator(MODEL, engine="torch", device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"beam_size": 1},
        {"beam_size": 4},
        {"beam_size": 5},
        {"beam_size": 10, "length_penalty": "gnmt", "alpha": 0.6},
        {"beam_size": 10, "n_best": 5},
        {"beam_size": 4, "min_length": 12},
        {"beam_size": 4, "max_length_factor": 0.3, "max_length_constant": 1},
        {"beam_size": 4, "banned_tokens": ["."]},
    ],
)
def test_the_walkthrough_model_translates_as_in_torch(
    settings: dict[str, object], by_device: tuple[Translator, list[str]], by_torch_exactly: Translator
) -> None:
    device, said = by_device
    expected = by_torch_exactly.translate(TEXTS, **settings)
    for ours, theirs in zip(device.translate(TEXTS, **settings), expected, strict=True):
        assert [one.ids for one in ours.alternatives] == [one.ids for one in theirs.alternatives]
        scores = [one.score for one in theirs.alternatives]
        assert [one.score for one in ours.alternatives] == pytest.approx(scores, abs=1e-4)
        assert (ours.text, ours.flags) == (theirs.text, theirs.flags)
    assert said == ["engine: device (fp32), cpu, without CUDA graphs on a processor"]


def test_bf16_is_announced_and_close(by_torch_exactly: Translator) -> None:
    """The tolerance of bf16, whose numbers have 8 significant bits: 0.05 for the mean log-probability of a piece."""
    said: list[str] = []
    rounded = open_translator(MODEL, engine="device", device="cpu", precision="bf16", say=said.append)
    assert said == [
        "engine: device (bf16), cpu, without CUDA graphs on a processor; weights are rounded to 8 significant bits, "
        "and --precision fp32 keeps them exact"
    ]
    for beam_size in (1, 5):
        found, expected = (one.translate(TEXTS, beam_size=beam_size) for one in (rounded, by_torch_exactly))
        assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=0.05)
        others = [(ours, theirs) for ours, theirs in zip(found, expected, strict=True) if ours.text != theirs.text]
        assert len(others) <= 1
        for ours, theirs in others:  # two translations that are equally good, as the exact model judges them
            both = by_torch_exactly.score([ours.source] * 2, [ours.text, theirs.text])
            means = [one.log_probability / len(one.ids) for one in both]
            assert means[0] == pytest.approx(means[1], abs=0.05)


@pytest.mark.parametrize(
    ("settings", "lacking"),
    [
        ({"sampling": True}, "sampling"),
        ({"target_prefix": "Le "}, "a forced prefix"),
        ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size"),
        ({"beam_size": 65}, "a beam over 64"),
    ],
)
def test_what_it_lacks_goes_to_torch_with_one_line(
    settings: dict[str, object], lacking: str, by_torch_exactly: Translator
) -> None:
    said: list[str] = []
    translator = open_translator(MODEL, engine="device", device="cpu", say=said.append)
    expected = by_torch_exactly.translate(TEXTS[1], **settings)
    assert translator.translate(TEXTS[1], **settings) == expected
    translator.translate(TEXTS[1], **settings)
    assert said[1:] == [f"engine: torch, because device (fp32) does not support {lacking}"]
