"""A report says which model it measured, how that model searched, and on which text."""

from __future__ import annotations

import json
from dataclasses import replace

from pellucid.evaluation.report import EvaluationReport, evaluate_translations
from pellucid.evaluation.systems import EvaluatedFile, EvaluatedSystem

SHA = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
NEW = EvaluatedSystem(
    "runs/new|er/model",
    weights_sha256=SHA,
    facts={"step": 4100, "bleu": 31.5},
    search={"beam_size": 7, "length_penalty": "gnmt", "alpha": 0.6, "no_repeat_ngram_size": 3, "n_best": 1},
    decisive=("beam_size", "length_penalty", "alpha", "no_repeat_ngram_size"),
    version="9.8.7",
)
OLD = EvaluatedSystem("runs/old/model", weights_sha256=OTHER, facts={"averaged_steps": "300, 400"}, search={})
FILES = (EvaluatedFile("source", "test.de", OTHER), EvaluatedFile("reference", "test.en", SHA))


def report() -> EvaluationReport:
    texts = ["A dog runs.", "A cat sleeps."]
    plain = evaluate_translations(texts, texts, target_language="en", resamples=0, trials=5, baseline=texts)
    return replace(plain, system=NEW, against=OLD, files=FILES)


def test_all_three_forms_name_model_search_and_files() -> None:
    found = report()
    for text in (found.to_text(), found.to_markdown(), found.to_json()):
        for word in ("beam_size", "gnmt", "0.6", "no_repeat_ngram_size", "4,100" if text[0] != "{" else "4100"):
            assert word in text
        for word in ("runs/old/model", "300, 400", SHA[:8], OTHER[:8], "test.de", "test.en", "9.8.7"):
            assert word in text
        assert "n_best" not in text or text[0] == "{", "what decides nothing is left to the JSON"


def test_json_holds_every_setting_and_whole_checksums() -> None:
    record = json.loads(report().to_json())
    assert record["system"]["folder"] == "runs/new|er/model"
    assert record["system"]["weights_sha256"] == SHA
    assert record["system"]["facts"]["step"] == 4100
    assert record["system"]["search"]["n_best"] == 1
    assert record["baseline"]["weights_sha256"] == OTHER
    assert [file["sha256"] for file in record["files"]] == [OTHER, SHA]


def test_markdown_shows_whole_checksums_and_keeps_its_tables() -> None:
    page = report().to_markdown()
    assert SHA in page
    assert OTHER in page
    assert "runs/new&#124;er/model" in page


def test_a_format_that_is_not_ours_is_named() -> None:
    foreign = EvaluatedSystem("out/onnx", weights_sha256=SHA, facts={}, search={}, kind="ONNX")
    assert foreign.model_line(short=True) == f"out/onnx, ONNX, weights {SHA[:8]}"
    assert NEW.model_line(short=True) == f"runs/new|er/model, step 4,100, weights {SHA[:8]}"
    record = json.loads(replace(report(), against=foreign).to_json())
    assert (record["system"]["kind"], record["baseline"]["kind"]) == ("pellucid", "ONNX")


def test_lists_of_strings_alone_are_of_no_system() -> None:
    texts = ["A dog runs."]
    found = evaluate_translations(texts, texts, target_language="en", resamples=0)
    assert json.loads(found.to_json())["system"] is None
    assert "search" not in found.to_text()
    assert "## What" not in found.to_markdown()
