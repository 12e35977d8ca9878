"""Each edit equals the same change made by hand in the independent NumPy pass, in the pass and in the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pellucid.analysis.checks import check
from pellucid.analysis.head_effects import heads_of
from pellucid.config import PositionLayout, TranslationConfig
from pellucid.errors import RequestError
from pellucid.jobs.surface import Trace, trace
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, parse_edit
from pellucid.tracing.edits import (
    AblateHead,
    AblateSublayer,
    AblateUnits,
    OtherPositions,
    OtherSentence,
    SetAttention,
)
from pellucid.translation.translator import Translator

from .numpy_transformer import NumpyTransformer
from .test_numpy_forward import VARIANTS, make, shape_of
from .test_trace import Change, Numbers

TEXT, TARGET, OTHER = "5 9 17 5 11", "23 7 7 13", "5 3 17 5 2"
SAMPLE = Sample.of([("5 9 3", "7 13"), ("17 4 8 3 2", "23"), ("11", "6 5 4")])
ENCODER, OWN, CROSS = "encoder.self_attention", "decoder.self_attention", "decoder.cross_attention"
EOS = 3
Put = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
EDITS: dict[str, Edit] = {
    "head": AblateHead(CROSS, 1, 0),
    "head, mean of the sample": AblateHead(OWN, 0, 2, SAMPLE),
    "encoder head, other sentence": AblateHead(ENCODER, 0, 1, OtherSentence(OTHER)),
    "head, other sentence of another length": AblateHead(CROSS, 0, 2, OtherSentence("4 4")),
    "row": AblateHead(CROSS, 0, 1, "zero", row=2),
    "row, mean so far": AblateHead(OWN, 0, 1, "mean", row=3),
    "sub-layer": AblateSublayer("decoder", 0, "cross_attention"),
    "sub-layer, mean in the encoder": AblateSublayer("encoder", 0, "feed_forward", "mean"),
    "sub-layer, mean so far": AblateSublayer("decoder", 0, "feed_forward", "mean"),
    "sub-layer, mean of the sample": AblateSublayer("encoder", 1, "self_attention", SAMPLE),
    "sub-layer, other sentence": AblateSublayer("decoder", 0, "cross_attention", OtherSentence(OTHER)),
    "units": AblateUnits("encoder", 0, (2, 11, 3)),
    "units, mean of the sample": AblateUnits("decoder", 0, (5, 1), SAMPLE),
    "weights": SetAttention(CROSS, 0, 1, 1, (0, 0.25, 0, 0.75, 0, 0)),
    "positions of Marian": OtherPositions(PositionLayout.HALF_SPLIT_PAPER_FREQUENCY),
    "no positions": OtherPositions(None),
}


def translator_of(name: str) -> Translator:
    model = make(VARIANTS[name])
    config = TranslationConfig(beam_size=1, min_length=4, max_length_factor=1e-9, max_length_constant=7)
    return Translator(model, Numbers(model.config), config=config)


def run(
    translator: Translator, source: str, fed: Sequence[int], changes: dict[str, Change] | None = None
) -> dict[str, np.ndarray]:
    weights = {name: tensor.numpy() for name, tensor in translator.model.state_dict().items()}
    reference = NumpyTransformer(weights, shape_of(translator.model.config), changes or {})
    ids, fed_ids = np.array([[*map(int, source.split()), EOS]]), np.array([fed])
    return reference.run(ids, fed_ids, np.ones(ids.shape, bool), np.ones(fed_ids.shape, bool))


def means(translator: Translator, site: str) -> np.ndarray:
    """The mean of a site over every position of the sample, position by position."""
    vectors = []
    for source, target in SAMPLE.pairs:
        fed = [translator.model.start_id, *map(int, target.split())]
        value = run(translator, source, fed)[site][0]
        vectors += [value[..., position, :] for position in range(value.shape[-2])]
    total = sum(vectors[1:], start=vectors[0])
    return total / len(vectors)


def by_hand(translator: Translator, edit: Edit, fed: Sequence[int]) -> dict[str, Change]:
    """The change of an edit, written out position by position."""
    if isinstance(edit, OtherPositions):
        offset = translator.model.config.position_offset

        def move(value: np.ndarray) -> np.ndarray:
            return np.array(
                [position_by_hand(edit.layout, offset + row, value.shape[-1]) for row in range(len(value[0]))]
            )[None]

        return {"source.position": move, "target.position": move}
    (site,) = edit.sites(translator.model.config)  # type: ignore[union-attr]
    if isinstance(edit, SetAttention):

        def rewrite(value: np.ndarray) -> np.ndarray:
            value = value.copy()
            if edit.row < value.shape[2]:
                value[0, edit.head, edit.row] = edit.weights
            return value

        return {site: rewrite}
    mode = edit.mode  # type: ignore[union-attr]
    mean = means(translator, site) if isinstance(mode, Sample) else None
    donated = run(translator, mode.source, fed)[site] if isinstance(mode, OtherSentence) else None

    def instead(value: np.ndarray, position: int) -> np.ndarray:
        """What stands at one position of [..., time, width] for all heads."""
        if mean is not None:
            return mean
        if donated is not None:
            return donated[0][..., position, :]
        if mode == "zero":
            return np.zeros_like(value[..., position, :])
        last = value.shape[-2] if site.startswith("encoder") else position + 1
        return sum(value[..., i, :] for i in range(last)) / last

    def change(value: np.ndarray) -> np.ndarray:
        edited = value.copy()
        for position in range(value.shape[-2]):
            new = instead(value[0], position)
            if isinstance(edit, AblateHead):
                if edit.row in (None, position):
                    edited[0, edit.head, position] = new[edit.head]
            elif isinstance(edit, AblateUnits):
                for unit in edit.units:
                    edited[0, position, unit] = new[unit]
            else:
                edited[0, position] = new
        return edited

    return {site: change}


def position_by_hand(layout: PositionLayout | None, position: int, width: int) -> list[float]:
    """All sines, then all cosines, of the wavelengths of the paper."""
    if layout is None:
        return [0.0] * width
    angles = [position / 10_000 ** (2 * pair / width) for pair in range(width // 2)]
    return [*map(math.sin, angles), *map(math.cos, angles)]


def greedy(translator: Translator, edit: Edit, *, steps: int, least: int) -> tuple[list[int], list[float]]:
    """Write pieces one by one with the edited NumPy pass."""
    fed, found, scores = [translator.model.start_id], [], []
    for step in range(steps):
        sites = run(translator, TEXT, fed, by_hand(translator, edit, fed))
        row = sites["log_probabilities"][0, -1].copy()
        row[[0, 2]] = -np.inf  # padding and start
        if step < least:
            row[EOS] = -np.inf
        best = int(row.argmax())
        found.append(best)
        scores.append(float(row[best]))
        fed.append(best)
        if best == EOS:
            break
    return found, scores


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("variant", ["paper", "swish, t2t, pre-norm"])
def test_an_edit_acts_in_the_pass_as_by_hand(variant: str, name: str) -> None:
    translator, edit = translator_of(variant), EDITS[name]
    made, plain = trace(translator, TEXT, target=TARGET, edits=[edit]), trace(translator, TEXT, target=TARGET)
    theirs = run(translator, TEXT, made.tokens.fed_ids, by_hand(translator, edit, made.tokens.fed_ids))
    for site, value in theirs.items():
        np.testing.assert_allclose(made[site], value[0], rtol=1e-10, atol=1e-10, err_msg=site)
    assert not np.allclose(made["logits"], plain["logits"]), "the edit had no effect"
    report = check(made)
    assert report.passed, str(report)
    edited = set(edit.sites(translator.model.config))  # type: ignore[union-attr]
    assert {skipped.site for skipped in report.skipped} == edited | {"score"}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_acts_in_the_search_as_by_hand(name: str) -> None:
    translator, edit = translator_of("paper"), EDITS[name]
    made = trace(translator, TEXT, edits=[edit])
    found, scores = greedy(translator, edit, steps=len(made.tokens.predicted_ids), least=4)
    assert list(made.tokens.predicted_ids) == found
    assert made.hypothesis is not None
    np.testing.assert_allclose(made.hypothesis.token_log_probabilities, scores, rtol=1e-10, atol=1e-10)
    report = check(made)  # the score of the search is that of the edited pass
    assert report.passed, str(report)


def test_a_wrong_number_of_the_search_is_caught() -> None:
    made = trace(translator_of("paper"), TEXT, edits=["decoder.0.feed_forward=zero"])
    assert made.hypothesis is not None
    terms = list(made.hypothesis.token_log_probabilities)
    terms[1] += 1e-4
    wrong = replace(made, hypothesis=replace(made.hypothesis, token_log_probabilities=tuple(terms)))
    assert {failure.site for failure in check(wrong).failures} == {"token_log_probabilities"}


def test_a_wrong_number_beside_an_edit_is_caught() -> None:
    made = trace(translator_of("paper"), TEXT, target=TARGET, edits=["encoder.0.self_attention.head.1=zero"])
    site = "encoder.0.self_attention.concatenated"
    array = made[site].copy()
    array[2, 0] = array[2, 0] + 1e-6  # the head beside it should be as it was
    wrong = replace(made, arrays={**made.arrays, site: array})
    assert site in {failure.site for failure in check(wrong).failures}


class TestWhatMustDoNothing:
    translator = translator_of("paper")
    plain = trace(translator, TEXT)

    def same(self, *edits: str) -> Trace:
        made = trace(self.translator, TEXT, edits=list(edits))
        assert made.tokens == self.plain.tokens
        np.testing.assert_allclose(made["logits"], self.plain["logits"], rtol=1e-10, atol=1e-10)
        return made

    def test_values_of_the_same_sentence(self) -> None:
        self.same(
            f'encoder.1.self_attention=from:"{TEXT}"',
            f'decoder.0.cross_attention.head.1=from:"{TEXT}"',
            f'decoder.2.feed_forward.unit.3=from:"{TEXT}"',
        )

    def test_the_pieces_that_the_model_writes_anyway(self) -> None:
        pieces = self.plain.tokens.predicted_pieces
        self.same(f'step.2="{pieces[2]}"', f'step.4="{pieces[4]}"')

    def test_a_ban_of_a_piece_that_never_comes(self) -> None:
        other = next(i for i in range(4, 31) if i not in self.plain.tokens.predicted_ids)
        self.same(f'ban="▁{other}"')

    def test_all_heads_off_leave_the_bias_of_the_sub_layer(self) -> None:
        heads = range(self.translator.model.config.num_heads)
        made = trace(self.translator, TEXT, edits=[f"decoder.1.cross_attention.head.{head}=zero" for head in heads])
        bias = self.translator.model.get_parameter("decoder.layers.1.cross_attention.output.bias").numpy(force=True)
        output = made["decoder.1.cross_attention.output"]
        np.testing.assert_allclose(output, np.broadcast_to(bias, output.shape), rtol=1e-12, atol=1e-12)


class TestChoices:
    translator = translator_of("paper")
    plain = trace(translator, TEXT)

    def test_a_forced_piece_keeps_what_is_before_and_the_rest_follows(self) -> None:
        ids = self.plain.tokens.predicted_ids
        forced = next(i for i in range(4, 31) if i != ids[2])
        made = trace(self.translator, TEXT, edits=[f'step.2="▁{forced}"'])
        assert made.tokens.predicted_ids[:3] == (*ids[:2], forced)
        prefix = " ".join(map(str, (*ids[:2], forced)))
        rest = greedy_after(self.translator, [*map(int, prefix.split())], steps=len(made.tokens.predicted_ids))
        assert list(made.tokens.predicted_ids) == rest

    def test_a_second_forced_piece_keeps_what_the_first_one_led_to(self) -> None:
        ids = self.plain.tokens.predicted_ids
        first = next(i for i in range(4, 31) if i != ids[1])
        once = trace(self.translator, TEXT, edits=[f'step.1="▁{first}"']).tokens.predicted_ids
        second = next(i for i in range(4, 31) if i != once[3])
        edits = [f'step.3="▁{second}"', f'step.1="▁{first}"']  # the steps decide the order
        assert trace(self.translator, TEXT, edits=edits).tokens.predicted_ids[:4] == (*once[:3], second)

    def test_a_banned_piece_never_comes(self) -> None:
        banned = self.plain.tokens.predicted_ids[0]
        made = trace(self.translator, TEXT, edits=[f'ban="▁{banned}"'])
        assert banned not in made.tokens.predicted_ids
        configured = self.translator.with_settings(banned_tokens=(f"▁{banned}",)).translate(TEXT)
        assert made.text == configured.text

    @pytest.mark.parametrize(
        ("edits", "text"),
        [
            (["word.1=drop"], "5 17 5 11"),
            (["word.0=drop", "word.4=8"], "9 17 5 8"),
            (['word.2="3 4"'], "5 9 3 4 5 11"),
        ],
    )
    def test_a_changed_word_is_another_sentence(self, edits: list[str], text: str) -> None:
        made, other = trace(self.translator, TEXT, edits=edits), trace(self.translator, text)
        assert made.source == text
        assert made.provenance.edited_from == TEXT
        assert made.tokens == other.tokens
        np.testing.assert_array_equal(made["logits"], other["logits"])

    def test_a_step_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(RequestError, match=r"step\.99=.* has steps 0 to \d"):
            trace(self.translator, TEXT, edits=['step.99="▁5"'])


def greedy_after(translator: Translator, prefix: list[int], *, steps: int) -> list[int]:
    found = list(prefix)
    while len(found) < steps and found[-1] != EOS:
        row = run(translator, TEXT, [translator.model.start_id, *found])["log_probabilities"][0, -1].copy()
        row[[0, 2]] = -np.inf
        if len(found) < 4:
            row[EOS] = -np.inf
        found.append(int(row.argmax()))
    return found


class TestEffects:
    translator = translator_of("paper")
    edit = AblateHead(CROSS, 1, 0)

    def test_both_translations_are_scored_by_both_models_as_by_hand(self) -> None:
        before = trace(self.translator, TEXT)
        effect = before.edit(self.edit, 'step.1="▁9"')
        for made, plain, edited in (
            (effect.before, effect.old_before, effect.old_after),
            (effect.after, effect.new_before, effect.new_after),
        ):
            fed, steps = made.tokens.fed_ids, range(made.tokens.target_length)
            for changes, row in (({}, plain), (by_hand(self.translator, self.edit, fed), edited)):
                scores = run(self.translator, TEXT, fed, changes)["log_probabilities"][0]
                expected = [scores[step, made.tokens.predicted_ids[step]] for step in steps]
                np.testing.assert_allclose(row, expected, rtol=1e-10, atol=1e-10)
        old, new = effect.before.tokens.predicted_ids, effect.after.tokens.predicted_ids
        assert effect.divergence == next(i for i in range(len(old)) if old[i] != new[i])
        rebuilt = [i for part in effect.parts for i in new[part.after[0] : part.after[1]]]
        assert tuple(rebuilt) == new

    def test_an_edit_of_an_edited_trace_is_refused(self) -> None:
        with pytest.raises(RequestError, match="give all edits as one list"):
            trace(self.translator, TEXT, edits=[self.edit]).edit("ban=5")

    @pytest.mark.parametrize("edits", [[], ["decoder.0.feed_forward=zero"]])
    def test_all_heads_at_once_are_each_head_alone(self, edits: list[str]) -> None:
        plain = trace(self.translator, TEXT, target=TARGET, edits=edits)
        effects = plain.head_effects()
        heads = heads_of(self.translator.model.config)
        assert effects.shape == (len(heads), plain.tokens.target_length)
        given = [parse_edit(edit) for edit in edits]
        for head, row in zip(heads, effects, strict=True):
            alone = trace(self.translator, TEXT, target=TARGET, edits=[*given, head])
            assert plain.predictions is not None
            assert alone.predictions is not None
            change = alone.predictions.target_log_probability - plain.predictions.target_log_probability
            np.testing.assert_allclose(row, change, rtol=1e-10, atol=1e-10, err_msg=str(head))

    def test_the_sample_is_stored_with_its_hash(self, tmp_path: object) -> None:
        made = trace(self.translator, TEXT, edits=[EDITS["units, mean of the sample"]])
        made.save(f"{tmp_path}/t.npz")
        back = Trace.load(f"{tmp_path}/t.npz")
        assert back == made
        assert back.provenance.to_table()["samples"] == {SAMPLE.sha256: SAMPLE.pairs}
        assert back.attach(self.translator).at_level("tokens").at_level("full") == made
