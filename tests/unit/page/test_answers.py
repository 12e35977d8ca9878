"""What the page is told is what the trace and the model hold, bit for bit; what it may not ask is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.equivalence.numpy_transformer import position_vector
from tests.models import save_model
from tests.unit.tracing.kit import WordTokenizer, make_model

from pellucid.analysis.heads import head_shares
from pellucid.bundle import load_bundle
from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.page.answers import Answer, json_answer
from pellucid.page.answers_model import model_answer, models_answer
from pellucid.page.answers_trace import TraceRecord, make_record, trace_answer
from pellucid.page.catalogue import Catalogue, OpenedModel, UnknownPathError, open_model
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.making import trace
from pellucid.tracing.record import Trace
from pellucid.translation.translator import Translator


def opened_model(**changes: object) -> OpenedModel:
    tokenizer = WordTokenizer()
    config = TranslationConfig(beam_size=3, min_length=3, max_length_factor=1e-9, max_length_constant=5)
    return open_model(Translator(make_model(tokenizer, **changes).float(), tokenizer, config=config))


OPENED = opened_model()
RECORD = make_record(OPENED, "ein Hund rennt", trace_id="t")


def array(answer: Answer) -> np.ndarray:
    assert answer.shape is not None
    return np.frombuffer(answer.body, "<f4" if answer.dtype == "f32" else "u1").reshape(answer.shape)


def table(answer: Answer) -> Any:
    return json.loads(answer.body)


def same(found: Answer, expected: np.ndarray) -> bool:
    assert found.dtype == ("u8" if expected.dtype == bool else "f32")
    return found.shape == expected.shape and found.body == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("level", ["full", "attention"])
def test_every_site_head_and_row_is_that_of_the_trace(level: str) -> None:
    """At the level ``attention`` most sites are computed again: by the same pass, in memory that torch aligns alike.

    The bits are equal because the number of threads is, too; ``tests/conftest.py`` sees to that.
    """
    whole = RECORD.trace
    record = TraceRecord("t", whole.at_level(level), OPENED)
    for site in whole.sites:
        expected = whole[site]
        assert same(trace_answer(record, f"sites/{site}", {}), expected), site
        if level != "full" and not site.endswith("weights"):
            continue
        for row in range(expected.shape[-2]):
            assert same(trace_answer(record, f"sites/{site}", {"row": str(row)}), expected[..., row, :]), site
        for head in range(len(expected) if expected.ndim == 3 else 0):
            assert same(trace_answer(record, f"sites/{site}", {"head": str(head)}), expected[head]), site
            one = trace_answer(record, f"sites/{site}", {"head": str(head), "row": "1"})
            assert same(one, expected[head, 1]), site


def test_the_manifest_says_what_the_trace_says() -> None:
    told, found = table(trace_answer(RECORD, "", {})), RECORD.trace
    assert told["text"] == found.text
    assert told["tokens"]["predicted_pieces"] == list(found.tokens.predicted_pieces)
    assert told["tokens"]["target_words"][0].keys() == {"text", "start", "end"}
    assert told["special"]["source"] == [False, False, False, True]
    made = found.predictions
    assert made is not None
    for name in ("target_log_probability", "entropy", "log_sum_exp", "target_rank"):
        assert np.array_equal(np.float32(told["predictions"][name]), np.float32(getattr(made, name))), name
    assert np.array_equal(told["predictions"]["top_ids"], made.top_ids[:, :10])
    best = np.float32(told["predictions"]["top_log_probabilities"])
    assert best.tobytes() == made.top_log_probabilities[:, :10].astype(np.float32).tobytes()
    pieces = WordTokenizer().target_pieces(made.top_ids[0, :10].tolist())
    assert told["predictions"]["top_pieces"][0] == pieces
    assert told["check"]["passed"]
    assert told["check"]["tested"] > 100
    assert told["config"]["num_heads"] == 3


def test_numbers_have_the_fewest_digits_that_give_the_same_float32() -> None:
    values = np.random.default_rng(2).normal(size=97).astype(np.float32) ** 3
    text = json_answer(values).body.decode()
    assert np.array_equal(np.float32(json.loads(text)), values)
    assert json_answer([np.float32(0.1), 0.1, 3, True, None]).body == b"[0.1,0.1,3,true,null]"
    assert table(json_answer([float("nan"), -float("inf"), np.float32("inf")])) == ["NaN", "-Infinity", "Infinity"]


@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_changes_compare_what_goes_into_a_sublayer_with_what_comes_out(norm_order: str) -> None:
    opened = opened_model(norm_order=norm_order)
    found = trace(opened.translator, "ein Hund", target="a dog")
    told = table(trace_answer(TraceRecord("t", found.at_level("attention"), opened), "changes", {}))
    assert len(told) == 2 + 2 * 3
    end = "residual" if norm_order == "pre" else "norm"
    before = found[f"decoder.1.self_attention_{end}"].astype(np.float64)
    after = found[f"decoder.1.cross_attention_{end}"].astype(np.float64)
    expected = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True)]
    assert told["decoder.1.cross_attention"] == pytest.approx(expected, rel=1e-6)


def test_a_trace_of_arrays_is_answered_as_far_as_it_goes() -> None:
    weights = np.full((2, 3, 3), 1 / 3)
    foreign = Trace.from_arrays(
        source_pieces=["▁Ein", "▁Hund", "</s>"],
        fed_pieces=["<s>", "▁A", "▁dog"],
        predicted_pieces=["▁A", "▁dog", "</s>"],
        attention={"decoder.0.cross_attention.weights": weights},
    )
    record = TraceRecord("t", foreign)
    told = table(trace_answer(record, "", {}))
    assert (told["config"], told["predictions"], told["model"]) == (None, None, None)
    assert told["special"]["source"] == [False, False, True]
    assert same(trace_answer(record, "sites/decoder.0.cross_attention.weights", {}), weights.astype(np.float32))
    assert list(table(trace_answer(record, "heads", {}))) == ["decoder.cross_attention"]
    with pytest.raises(RequestError, match="only attention weights"):
        trace_answer(record, "changes", {})


def test_shares_add_up_to_the_output() -> None:
    place = "decoder.1.cross_attention"
    expected = head_shares(RECORD.trace, place)
    assert np.array_equal(array(trace_answer(RECORD, f"shares/{place}", {})), expected.norms.astype(np.float32))
    row = array(trace_answer(RECORD, f"shares/{place}", {"row": "2"}))
    assert row.shape == (4, 18)
    assert row.sum(0) == pytest.approx(RECORD.trace[f"{place}.output"][2], abs=1e-5)


def test_weights_of_a_head_give_its_queries() -> None:
    name = "decoder.layers.1.cross_attention.queries"
    entry = RECORD.trace["decoder.1.self_attention_norm"]
    whole = array(model_answer(OPENED, f"weights/{name}.weight", {}))
    for head in range(3):
        query = {"head": str(head)}
        weight = array(model_answer(OPENED, f"weights/{name}.weight", query))
        bias = array(model_answer(OPENED, f"weights/{name}.bias", query))
        assert np.array_equal(weight, whole[6 * head : 6 * head + 6])
        site = RECORD.trace["decoder.1.cross_attention.queries"][head]
        assert entry @ weight.T + bias == pytest.approx(site, abs=1e-5)
    output = array(model_answer(OPENED, "weights/encoder.layers.0.self_attention.output.weight", {}))
    last = array(model_answer(OPENED, "weights/encoder.layers.0.self_attention.output.weight", {"head": "2"}))
    assert np.array_equal(last, output[:, 12:])


@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_weights_of_a_unit_give_its_activation_and_what_it_writes(norm_order: str) -> None:
    opened = opened_model(norm_order=norm_order)
    found = make_record(opened, "ein Hund rennt", trace_id="t").trace
    name, at = "weights/decoder.layers.1.feed_forward", "decoder.1.feed_forward"
    entry = found["decoder.1.cross_attention_norm" if norm_order == "post" else f"{at}_norm"]
    first, last = (array(model_answer(opened, f"{name}.{part}.bias", {})) for part in ("inner", "outer"))
    output = np.zeros_like(found[f"{at}.output"]) + last
    for unit in range(len(first)):
        query = {"unit": str(unit)}
        weight = array(model_answer(opened, f"{name}.inner.weight", query))
        assert entry @ weight + first[unit] == pytest.approx(found[f"{at}.pre_activation"][:, unit], abs=1e-5)
        output += np.outer(found[f"{at}.hidden"][:, unit], array(model_answer(opened, f"{name}.outer.weight", query)))
    assert output == pytest.approx(found[f"{at}.output"], abs=1e-5)


def test_every_parameter_is_answered() -> None:
    listed = table(model_answer(OPENED, "", {}))["parameters"]
    model = OPENED.translator.model
    assert set(listed) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert same(model_answer(OPENED, f"weights/{name}", {}), parameter.detach().numpy())


def test_rows_positions_and_neighbours_are_those_of_the_tables() -> None:
    weight = OPENED.translator.model.source_embedding.weight.detach().numpy()
    assert same(model_answer(OPENED, "rows/source", {"ids": "7,4,7"}), weight[[7, 4, 7]])
    assert same(model_answer(OPENED, "rows/output", {"ids": "5"}), weight[[5]])
    untied = opened_model(share_embeddings=False, share_decoder_embeddings=False)
    matrix = untied.translator.model.projection.weight
    assert matrix is not None
    assert same(model_answer(untied, "rows/output", {"ids": "5"}), matrix[[5]].detach().numpy())
    biased = opened_model(output_bias=True)
    row = array(model_answer(biased, "rows/output", {"ids": "4"}))[0]
    found = trace(biased.translator, "ein Hund", target="a dog")
    assert found["decoder.output"] @ row[:-1] + row[-1] == pytest.approx(found["logits"][:, 4], abs=1e-5)
    own = model_answer(OPENED, "positions", {"length": "4"})
    assert same(own, RECORD.trace["source.position"])
    other = array(model_answer(OPENED, "positions", {"layout": "half_split_t2t", "length": "3"}))
    assert other[2] == pytest.approx(
        np.concatenate([f(2 * 10_000.0 ** (-np.arange(9) / 8)) for f in (np.sin, np.cos)]), abs=1e-6
    )
    told = table(model_answer(OPENED, "neighbours/target/5", {}))
    assert len(told) == 10
    assert 0 not in [row["id"] for row in told]  # padding is the vector of zeros
    cosines = [row["cosine"] for row in told]
    assert cosines == sorted(cosines, reverse=True)
    first = told[0]
    expected = weight[5] @ weight[first["id"]] / np.linalg.norm(weight[5]) / np.linalg.norm(weight[first["id"]])
    assert first["cosine"] == pytest.approx(expected, abs=1e-6)
    assert first["piece"] == WordTokenizer().pieces[first["id"]]
    assert table(model_answer(OPENED, "neighbours/target/0", {})) == []
    assert table(model_answer(OPENED, "vocabulary/source", {})) == WordTokenizer().pieces


@pytest.mark.parametrize("own", ["interleaved", "half_split_paper_frequency", "half_split_t2t"])
def test_a_table_of_positions_of_any_layout_is_its_formula(own: str) -> None:
    opened = opened_model(position_layout=own, position_offset=2)
    for layout in ("interleaved", "half_split_paper_frequency", "half_split_t2t"):
        found = array(model_answer(opened, "positions", {"layout": layout, "length": "11"}))
        expected = [position_vector(position, 18, layout) for position in range(2, 13)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7, err_msg=layout)


@pytest.mark.parametrize(
    ("rest", "query", "says"),
    [
        ("weights/encoder.layers.9.self_attention.queries.weight", {}, "no parameter"),
        ("weights/projection.weight", {}, "target embedding"),
        ("weights/source_embedding.weight", {"head": "0"}, "leave out head"),
        ("weights/encoder.layers.0.self_attention.output.bias", {"head": "0"}, "leave out head"),
        ("weights/encoder.layers.0.self_attention.keys.weight", {"head": "3"}, "from 0 to 2"),
        ("weights/encoder.layers.0.feed_forward.inner.weight", {"unit": "999"}, "unit = '999'"),
        ("weights/encoder.layers.0.feed_forward.inner.bias", {"unit": "0"}, "leave out unit"),
        ("weights/encoder.layers.0.self_attention.output.weight", {"unit": "0"}, "leave out unit"),
        ("weights/encoder.layers.0.feed_forward.outer.weight", {"head": "0"}, "leave out head"),
        ("rows/source", {"ids": "13"}, "whole numbers from 0 to 12"),
        ("rows/source", {"ids": "-1"}, "whole numbers from 0 to 12"),
        ("rows/source", {}, "whole numbers from 0 to 12"),
        ("rows/middle", {"ids": "1"}, "source and target"),
        ("positions", {"layout": "spiral"}, "interleaved"),
        ("positions", {"layout": "learned"}, "no learned table"),
        ("positions", {"length": "30"}, "from 1 to 29"),
        ("positions", {"lenght": "3"}, "unknown parameter"),
        ("neighbours/source/x", {}, "whole numbers from 0 to 12"),
        ("vocabulary/source", {"ids": "1"}, "this path has none"),
        ("training", {}, "no run folder"),
        ("probes/0", {}, "it has none"),
        ("soul", {}, "allowed are weights"),
    ],
)
def test_what_a_model_is_not_asked(rest: str, query: dict[str, str], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        model_answer(OPENED, rest, query)


@pytest.mark.parametrize(
    ("rest", "query", "says"),
    [
        ("sites/encoder.7.input", {}, "layers are 0 to 0"),
        ("sites/logits", {"head": "0"}, "leave out head"),
        ("sites/logits", {"row": "5"}, "row = '5'"),
        ("sites/encoder.0.self_attention.weights", {"head": "3"}, "from 0 to 2"),
        ("sites/encoder.0.self_attention.weights", {"head": "³"}, "from 0 to 2"),
        ("sites/encoder.0.self_attention.weights", {"layer": "0"}, "unknown parameter"),
        ("shares/encoder.0.feed_forward", {}, "not an attention"),
        ("shares/encoder.5.self_attention", {}, "not an attention"),
        ("heads/3", {}, "allowed are sites"),
        ("heart", {}, "allowed are sites"),
        ("atlas", {"size": "3"}, "this path has none"),
    ],
)
def test_what_a_trace_is_not_asked(rest: str, query: dict[str, str], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        trace_answer(RECORD, rest, query)


def test_settings_of_the_search_are_those_that_were_asked_for() -> None:
    record = make_record(OPENED, "ein Hund", trace_id="t", settings={"beam_size": 2, "alpha": 0.5})
    assert record.trace.provenance.search is not None
    assert (record.trace.provenance.search.beam_size, record.trace.provenance.search.alpha) == (2, 0.5)
    assert OPENED.translator.config.beam_size == 3
    for wrong in ({"beam_size": 1000}, {"batch_size": 3}, {"beams": 3}):
        with pytest.raises(RequestError, match=r"settings\."):
            make_record(OPENED, "ein Hund", trace_id="t", settings=wrong)


def test_a_large_trace_keeps_its_attention_and_was_checked_whole() -> None:
    record = make_record(OPENED, "ein Hund", trace_id="t", largest_bytes=1000)
    told = table(trace_answer(record, "", {}))
    assert told["level"] == "attention"
    assert told["check"] == table(trace_answer(make_record(OPENED, "ein Hund", trace_id="t"), "", {}))["check"]


def saved_run(folder: Path, *, seed: int = 1) -> Translator:
    """Write a run: a model, a snapshot of step 20, and what training tells."""
    tokenizer = BytesTokenizer()
    model = make_model(tokenizer).float()
    few = TranslationConfig(beam_size=1, max_length_constant=3, max_length_factor=0.1)
    save_model(folder / "model", model, translation=few, facts={"step": 50, "bleu": 3.5})
    from pellucid.training.probes import write_snapshot

    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter)
    write_snapshot(folder / "snapshots", model, step=20)
    rows = [{"kind": "step", "step": n, "loss": 1 / n} for n in range(1, 2101)]
    rows.append({"kind": "validation", "step": 2100, "nll": 0.5})
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"kind": "st', encoding="utf-8")
    (folder / "recipe.toml").write_text("[training]\nlabel_smoothing = 0.1\n", encoding="utf-8")
    (folder / "probes").mkdir()
    pairs = [{"source_ids": tokenizer.encode_source([s])[0], "target_ids": tokenizer.encode_target([t])[0]}
             for s, t in (("ä b", "x"), ("c", "yz"))]  # fmt: skip
    (folder / "probes" / "index.json").write_text(json.dumps({"pairs": pairs}), encoding="utf-8")
    generator = np.random.default_rng(3)
    np.savez(
        folder / "probes" / "step-00000020.npz",
        pair=np.int32([0, 0, 1, 1, 1]),
        target_ids=np.int32([124, 3, 125, 126, 3]),
        target_log_probability=generator.normal(size=5).astype(np.float32),
        top_ids=generator.integers(0, 200, size=(5, 50)).astype(np.int32),
        top_log_probabilities=generator.normal(size=(5, 50)).astype(np.float32),
        log_sum_exp=generator.normal(size=5).astype(np.float32),
    )
    return Translator(model, tokenizer)


def opened_run(folder: Path) -> Catalogue:
    def translator_of(bundle: Any) -> Translator:
        return Translator(bundle.model, bundle.tokenizer, config=bundle.description.translation, origin=bundle)

    return Catalogue([open_model(translator_of(load_bundle(folder)), folder)], make_translator=translator_of)


def test_a_run_shows_its_training(tmp_path: Path) -> None:
    saved_run(tmp_path / "My Run")
    catalogue = opened_run(tmp_path / "My Run")
    (listed,) = table(models_answer(catalogue.models))["models"]
    assert listed["id"] == "my-run"
    assert (listed["name"], listed["step"], listed["steps"]) == ("My Run", 50, [20])
    assert listed["examples"] == ["ä b", "c"]
    opened = catalogue.get("my-run")
    told = table(model_answer(opened, "training", {}))
    assert (told["label_smoothing"], told["steps"], told["snapshots"]) == (0.1, [20], [20])
    steps = [row["step"] for row in told["metrics"] if row["kind"] == "step"]
    assert told["every"] == 3
    assert steps == [*range(1, 2101, 3), 2100]
    assert told["metrics"][-1]["kind"] == "validation"
    first, second = told["sentences"]
    assert (first["source"], first["target"], second["target"]) == ("ä b", "x", "yz")
    assert first["target_pieces"][-1] == "</s>"
    probe = table(model_answer(opened, "probes/20", {}))
    assert [len(sentence["target_ids"]) for sentence in probe] == [2, 3]
    assert probe[1]["target_ids"] == second["target_ids"]
    kept = np.load(tmp_path / "My Run" / "probes" / "step-00000020.npz", allow_pickle=False)
    assert np.array_equal(np.float32(probe[1]["top_log_probabilities"]), kept["top_log_probabilities"][2:, :10])
    assert len(probe[0]["top_pieces"][0]) == 10


def test_a_snapshot_is_a_model_of_its_step(tmp_path: Path) -> None:
    other = saved_run(tmp_path / "run")
    catalogue = opened_run(tmp_path / "run")
    snapshot = catalogue.get("run@20")
    assert catalogue.get("run@20") is snapshot
    for name, parameter in other.model.named_parameters():
        assert torch.equal(parameter, snapshot.translator.model.get_parameter(name))
    record = make_record(snapshot, "ab", trace_id="t")
    assert record.trace.provenance.step == 20
    assert table(trace_answer(record, "", {}))["model"] == "run@20"
    description = table(model_answer(snapshot, "", {}))
    assert (description["id"], description["step"], description["is_snapshot"]) == ("run@20", 20, True)
    assert catalogue.get("run").step == 50
    for wrong in ("run@21", "run@", "run@020", "run@\u0662\u0660", "walk", "run@20@20", "run@../x"):
        with pytest.raises(UnknownPathError, match=r"there are|it has 20"):
            catalogue.get(wrong)


def test_damaged_files_of_a_run_are_told(tmp_path: Path) -> None:
    saved_run(tmp_path / "run")
    opened = opened_run(tmp_path / "run").get("run")
    (tmp_path / "run" / "probes" / "step-00000020.npz").write_bytes(b"PK nothing")
    with pytest.raises(RequestError, match="damaged"):
        model_answer(opened, "probes/20", {})
    (tmp_path / "run" / "probes" / "index.json").write_text('{"pairs": [3]}', encoding="utf-8")
    with pytest.raises(RequestError, match="damaged"):
        model_answer(opened, "training", {})


def test_equal_names_get_different_ids() -> None:
    catalogue = Catalogue([opened_model(), opened_model()], make_translator=lambda bundle: OPENED.translator)
    assert [model.id for model in catalogue.models] == ["model", "model-2"]
