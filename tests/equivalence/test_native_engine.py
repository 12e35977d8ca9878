"""The native engine finds what the search in torch finds: the same ids, and log-probabilities within 1e-4.

The reference runs in float64. Sizes are odd on purpose: no row is a whole number of vectors, and no map a whole number
of blocks, so that every tail of every loop is passed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.equivalence.clear_models import BOS, EOS, PAD, SHORT, UNK, VARIANTS, VOCAB, clear_model, sentences

from pellucid.config import TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.text.spelling import PieceIndex
from pellucid.translation.alignment.attention import mean_of_heads
from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints, max_length_of
from pellucid.translation.engines.engine import SearchRequest
from pellucid.translation.engines.native import jobs
from pellucid.translation.engines.native.engine import NativeEngine
from pellucid.translation.engines.native.jobs import Workers, run_search
from pellucid.translation.engines.native.library import Library, load_library
from pellucid.translation.engines.native.memory import SearchSettings, Sentence
from pellucid.translation.engines.native.preparation import open_prepared, prepare
from pellucid.translation.engines.native.weights import weights_of
from pellucid.translation.hypothesis import AlignedHypothesis, Hypothesis
from pellucid.translation.prefixes import Prefix, Spelling
from pellucid.translation.sampling import sample
from pellucid.translation.scoring import forced_log_probabilities
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.units import Unit

FORBIDDEN = (PAD, BOS)


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library()


def workers_of(model: Transformer, library: Library, folder: Path, *, is_int8: bool = False) -> Workers:
    path = folder / f"prepared-{is_int8}"
    prepare(path, weights_of(model), columns=library.columns, is_int8=is_int8)
    prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    assert prepared is not None
    return Workers(library, prepared)


def settings_of(config: TranslationConfig, *, head: tuple[int, int] | None = None) -> SearchSettings:
    return SearchSettings(
        beam_size=config.beam_size,
        n_best=config.n_best,
        length_penalty=config.length_penalty,
        alpha=config.alpha,
        min_length=config.min_length,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
        end_id=EOS,
        forbidden_ids=FORBIDDEN,
        head=head,
    )


def native(
    workers: Workers,
    sources: list[list[int]],
    config: TranslationConfig,
    *,
    prefixes: Sequence[Prefix] = (Prefix(),),
    key_of: Callable[[Sequence[int]], Hashable] | None = None,
    head: tuple[int, int] | None = None,
    threads: int = 1,
) -> list[list[Hypothesis]]:
    """Search with one prefix for all, or one for each."""
    limits = [max_length_of(len(ids), config=config, stepper_max_length=61) for ids in sources]
    found = run_search(
        workers,
        [Sentence(*facts) for facts in zip(sources, limits, cycle(prefixes), strict=False)],
        settings=settings_of(config, head=head),
        threads=threads,
        key_of=key_of,
    )
    assert not [one for one in found if isinstance(one, int)]
    return found  # type: ignore[return-value]


SEARCHES: dict[str, dict[str, object]] = {
    "greedy": {"beam_size": 1},
    "beam 4": {"beam_size": 4, "n_best": 4},
    "beam 10": {"beam_size": 10, "n_best": 3},
    "gnmt": {"beam_size": 5, "n_best": 2, "length_penalty": "gnmt", "alpha": 0.6},
    "no penalty": {"beam_size": 4, "length_penalty": "none"},
    "minimum length": {"beam_size": 4, "min_length": 9},
    "no repeated pairs": {"beam_size": 4, "no_repeat_ngram_size": 2, "max_length_constant": 40},
    "no piece twice": {"beam_size": 3, "no_repeat_ngram_size": 1},
    "short limit": {"beam_size": 4, "n_best": 4, "max_length_factor": 0.2, "max_length_constant": 2},
    "wide beam": {"beam_size": 40, "n_best": 40, "max_length_constant": 3, "max_length_factor": 0.3},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("search", ["greedy", "beam 4"])
def test_every_model_gives_the_hypotheses_of_torch(variant: str, search: str, library: Library, tmp_path: Path) -> None:
    compare(clear_model(**VARIANTS[variant]), SEARCHES[search], library, tmp_path)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_setting_gives_the_hypotheses_of_torch(search: str, library: Library, tmp_path: Path) -> None:
    compare(clear_model(), SEARCHES[search], library, tmp_path)


def letters_of(index: int) -> bytes:
    """Return what a piece of the random models writes: nothing, or one to three letters of "a" and "b"."""
    return b"" if index < 4 else bytes(b"ab"[index >> bit & 1] for bit in range(1 + index % 3))


INDEX = PieceIndex([letters_of(index) for index in range(VOCAB)], left_out={UNK})
PREFIXES: dict[str, list[Prefix]] = {
    "certain pieces": [Prefix((9, 5, 5, 77))],
    "a text": [Prefix((), Spelling(b"abbab", INDEX))],
    "pieces, then a text": [Prefix((8, 30), Spelling(b"bab", INDEX, avoided=range(50)))],
    "a text in few pieces": [Prefix((8,), Spelling(b"abbabaabb", INDEX), most=5)],
    "one for each": [Prefix(), *(Prefix((4,) * (n % 3), Spelling(b"aabab"[: n % 5], INDEX)) for n in range(1, 23))],
}


@pytest.mark.parametrize("prefixes", PREFIXES)
@pytest.mark.parametrize("search", ["greedy", "beam 4", "no piece twice"])
def test_every_beginning_gives_the_hypotheses_of_torch(
    prefixes: str, search: str, library: Library, tmp_path: Path
) -> None:
    compare(clear_model(), SEARCHES[search], library, tmp_path, prefixes=PREFIXES[prefixes])


def visible(ids: Sequence[int]) -> Hashable:
    """Return what a reader sees of a translation where many pieces look alike, so that lists have to be filled up."""
    return tuple(index % 7 for index in ids if index % 3)


@pytest.mark.parametrize("n_best", [2, 4, 6])
@pytest.mark.parametrize("search", ["beam 4", "beam 10", "gnmt", "minimum length", "no piece twice", "short limit"])
def test_a_list_holds_each_text_once_as_in_torch(search: str, n_best: int, library: Library, tmp_path: Path) -> None:
    changed = {"n_best": n_best, "beam_size": max(n_best, int(str(SEARCHES[search]["beam_size"])))}
    compare(clear_model(), SEARCHES[search] | changed, library, tmp_path, key_of=visible)


def test_an_error_in_a_key_ends_the_search(library: Library, tmp_path: Path) -> None:
    def broken(ids: Sequence[int]) -> Hashable:
        raise KeyError(len(ids))

    workers = workers_of(clear_model(), library, tmp_path)
    config = TranslationConfig(beam_size=4, n_best=2)
    for threads in (1, 2):
        with pytest.raises(KeyError):
            native(workers, sentences(50), config, key_of=broken, threads=threads)
    assert native(workers, sentences(50), config)


def compare(
    model: Transformer,
    search: dict[str, object],
    library: Library,
    folder: Path,
    *,
    prefixes: Sequence[Prefix] = (),
    key_of: Callable[[Sequence[int]], Hashable] | None = None,
) -> None:
    config = TranslationConfig.model_validate(SHORT | search)
    sources = sentences(23)
    found = native(workers_of(model, library, folder), sources, config, prefixes=prefixes or (Prefix(),), key_of=key_of)
    rules = Constraints(
        eos_id=EOS,
        forbidden_ids=FORBIDDEN,
        min_length=config.min_length,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
        prefixes=tuple(prefixes),
    )
    expected = beam_search(ModelStepper(model.double()), sources, config=config, constraints=rules, key_of=key_of)
    lengths = set()
    for ours, theirs in zip(found, expected, strict=True):
        assert [one.ids for one in ours] == [one.ids for one in theirs]
        assert [one.is_finished for one in ours] == [one.is_finished for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-4)
            assert one.score == pytest.approx(other.score, abs=1e-4)
        lengths |= {len(one.ids) for one in ours}
    assert len(lengths) > 1 or "max_length_factor" in search, "sentences of one length would test little"


DRAWS: dict[str, dict[str, object]] = {
    "all": {},
    "warm": {"temperature": 2.5},
    "cold": {"temperature": 0.01},
    "top k": {"top_k": 5, "temperature": 3.0},
    "top p": {"top_p": 0.7, "temperature": 3.0},
    "both": {"top_k": 9, "top_p": 0.8, "temperature": 10.0},
    "more than there are": {"top_k": 5000, "top_p": 0.9999},
    "minimum length": {"min_length": 9, "temperature": 5.0},
    "no piece twice": {"no_repeat_ngram_size": 1, "temperature": 2.0, "max_length_constant": 40},
}


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("prefixes", [None, "one for each"])
def test_the_draws_are_those_of_torch(draws: str, prefixes: str | None, library: Library, tmp_path: Path) -> None:
    model = clear_model()
    engine = NativeEngine(workers_of(model, library, tmp_path), threads=2)
    config = TranslationConfig.model_validate({"sampling": True, "n_best": 3, "seed": 8, **SHORT, **DRAWS[draws]})
    sources = sentences(23)
    beginnings = PREFIXES[prefixes] if prefixes else [Prefix()] * len(sources)
    rules = Constraints(
        eos_id=EOS,
        forbidden_ids=FORBIDDEN,
        min_length=config.min_length,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
    )
    units = [Unit(i, 0, tuple(ids), prefix) for i, (ids, prefix) in enumerate(zip(sources, beginnings, strict=True))]
    found = dict(engine.search(SearchRequest(units, config, rules, key_of=tuple)))
    drawn = sample(
        ModelStepper(model.double()), sources, config=config, constraints=replace(rules, prefixes=tuple(beginnings))
    )
    for place, theirs in enumerate(drawn):
        assert [one.ids for one in found[place]] == [one.ids for one in theirs]
        for one, other in zip(found[place], theirs, strict=True):
            assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-4)


def test_forced_scores_are_those_of_torch(library: Library, tmp_path: Path) -> None:
    model = clear_model()
    engine = NativeEngine(workers_of(model, library, tmp_path), threads=2)
    sources, targets = sentences(40), sentences(40, seed=5)
    targets[3] = [9, EOS, 9, EOS]  # no piece ends a target before its last
    targets[4] = [EOS]
    expected = forced_log_probabilities([model.double()], sources, targets)
    for place, terms in engine.score(range(3, 40), sources, targets):
        assert terms == pytest.approx(expected[place], abs=1e-4)


@pytest.mark.parametrize("step", AlignmentStep)
def test_the_attention_of_heads_is_that_of_torch(step: AlignmentStep, library: Library, tmp_path: Path) -> None:
    model = clear_model()
    engine = NativeEngine(workers_of(model, library, tmp_path), threads=2)
    targets = [ids[:-1] for ids in sentences(20, seed=5)]
    targets[3], targets[4] = [], [7] * 61  # nothing, and every position of the model
    pairs = list(zip(sentences(20), targets, strict=True))
    heads = AlignmentHeads(((0, 1), (2, 0), (2, 1)), step)
    expected = dict(mean_of_heads(model.double(), pairs, heads=heads, batch_size=300))
    found = dict(engine.attention(pairs, heads=heads, batch_size=300))
    assert found.keys() == expected.keys()
    for place, weights in found.items():
        np.testing.assert_allclose(weights, expected[place], atol=1e-5)


def test_ids_that_the_model_lacks_are_refused(library: Library, tmp_path: Path) -> None:
    workers = workers_of(clear_model(), library, tmp_path)
    settings = SearchSettings(beam_size=1, end_id=EOS)
    long = [5] * 61 + [EOS]
    wrong = [Sentence([VOCAB, EOS], 9), Sentence([-1, EOS], 9), Sentence([EOS], 9, Prefix((VOCAB,))), Sentence(long, 9)]
    for sentence in [*wrong, Sentence([EOS], 62)]:
        with pytest.raises(ValueError, match=r"151 pieces|61 positions"):
            run_search(workers, [Sentence([5, EOS], 9), sentence], settings=settings, threads=1)


def test_company_and_threads_change_nothing(library: Library, tmp_path: Path) -> None:
    config = TranslationConfig(beam_size=3, n_best=2)
    sources = sentences(150)
    for is_int8 in (False, True):
        workers = workers_of(clear_model(), library, tmp_path, is_int8=is_int8)
        together = native(workers, sources, config)
        assert together == native(workers, sources, config, threads=2)
        assert together == native(workers, sources[::-1], config, threads=3)[::-1]
        assert together == [native(workers, [ids], config)[0] for ids in sources]


def test_a_thread_of_a_server_searches_itself(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the main thread hears of Ctrl-C; another one would wait for a thread that does its work, and for its turn.
    workers = workers_of(clear_model(), library, tmp_path)
    config = TranslationConfig(beam_size=4)
    sources = [[5, 6, 7, EOS]] * 40
    expected = native(workers, sources, config)
    monkeypatch.setattr(jobs, "_run_in_threads", lambda *given: pytest.fail("a thread was started"))
    found: list[list[list[Hypothesis]]] = []
    thread = threading.Thread(target=lambda: found.append(native(workers, sources, config)))
    thread.start()
    thread.join()
    assert found == [expected]


def test_int8_keeps_the_log_probabilities_near(library: Library, tmp_path: Path) -> None:
    model = clear_model()
    config = TranslationConfig(beam_size=1)
    sources = sentences(150)
    exact = native(workers_of(model, library, tmp_path), sources, config)
    rounded = native(workers_of(model, library, tmp_path, is_int8=True), sources, config)
    firsts = [
        (a[0].token_log_probabilities[0], b[0].token_log_probabilities[0])
        for a, b in zip(exact, rounded, strict=True)
        if a[0].ids[0] == b[0].ids[0]
    ]
    assert len(firsts) > 0.8 * len(sources)
    assert np.mean([abs(a - b) for a, b in firsts]) < 0.1


def test_the_wanted_head_is_the_recorders(library: Library, tmp_path: Path) -> None:
    from pellucid.model.recorder import Recorder

    class Seen(Recorder):
        def visit(self, site: str, value: torch.Tensor) -> torch.Tensor:
            if site == "decoder.1.cross_attention.weights":
                self.weights = value
            return value

    model = clear_model()
    source = sentences(1)[0]
    workers = workers_of(model, library, tmp_path)
    config = TranslationConfig(beam_size=4, n_best=3)
    (found,) = native(workers, [source], config, head=(1, 1))
    for hypothesis in found:
        recorder = Seen()
        target = torch.tensor([[BOS, *hypothesis.ids[:-1]]])
        model(torch.tensor([source]), target, recorder=recorder)
        assert isinstance(hypothesis, AlignedHypothesis)
        assert hypothesis.attention == pytest.approx(recorder.weights[0, 1].detach().numpy(), abs=1e-5)


def test_a_number_that_is_not_finite_fails_its_sentence_alone(library: Library, tmp_path: Path) -> None:
    model = clear_model(share_embeddings=False, share_decoder_embeddings=False)
    with torch.no_grad():
        model.source_embedding.weight[7] = torch.inf
    sources = [[5, EOS], [7, EOS], [6, EOS]]
    workers = workers_of(model, library, tmp_path)
    found = run_search(
        workers,
        [Sentence(ids, 20) for ids in sources],
        settings=settings_of(TranslationConfig(beam_size=2)),
        threads=1,
    )
    assert [isinstance(one, int) for one in found] == [False, True, False]
