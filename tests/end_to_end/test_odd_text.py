"""Text as people have it, through the real command and the model that ships: what it means is what decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pellucid
from pellucid.bundle import load_bundle
from pellucid.text.store import TokenStore

from .conftest import Command
from .small_runs import settings

WALKTHROUGH = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
STUDENT = "Je suis étudiant."


def test_spaces_marks_and_invisible_characters_change_no_translation(command: Command) -> None:
    odd = ["I am a student. ", " I am a student.", "I  am a student.", "\ufeffI am a student.", "\u00a0I am a student."]
    odd += ["I am a stu\u00addent.", "I am\u2028a student.", "I\u200b am a student.\u00a0", "I am a\u00a0student."]
    outcome = command("translate", WALKTHROUGH, stdin="\n".join(odd).encode())
    assert outcome.status == 0
    lines = outcome.out.removesuffix("\n").split("\n")
    assert [line.strip() for line in lines] == [STUDENT] * len(odd)
    assert lines[:2] == [f"{STUDENT} ", f" {STUDENT}"]


def test_two_files_with_a_mark_each_are_two_lines(command: Command) -> None:
    outcome = command("translate", WALKTHROUGH, stdin=("\ufeffI am a student.\n" * 2).encode())
    assert outcome.out == f"{STUDENT}\n" * 2


def test_every_sentence_of_a_line_is_translated(command: Command) -> None:
    lines = ["The cat is very tired. The dog is happy.", "I am a student.  The animal is tired."]
    text = "\n".join(lines).encode()
    outcome = command("translate", WALKTHROUGH, stdin=text)
    assert outcome.out.split("\n")[:2] == [
        "Le chat est très fatigué. Le chien est heureux.",
        f"{STUDENT}  L'animal est fatigué.",
    ]
    whole = command("translate", WALKTHROUGH, "--no-split", "--format", "jsonl", stdin=text)
    assert all("split" not in json.loads(row)["flags"] for row in whole.out.splitlines())


def test_a_line_without_letters_is_passed_through_and_counted(command: Command) -> None:
    outcome = command("translate", WALKTHROUGH, stdin="-\n\u200b\n...\n🙂\n".encode())
    assert outcome.out == "-\n\n...\n🙂\n"
    assert "passed_through 3" in outcome.err
    moses = command("translate", WALKTHROUGH, "--format", "moses", stdin=b"...\n")
    assert moses.out == "0 ||| ... ||| 0.000000\n"


def test_scores_and_traces_see_the_same_text(command: Command, tmp_path: Path) -> None:
    (tmp_path / "plain.en").write_text("I am a student.\n" * 2)
    (tmp_path / "odd.en").write_text(" I am\u2028a  stu\u00addent.\n\ufeffI am a student.\u00a0\n")
    (tmp_path / "plain.fr").write_text(f"{STUDENT}\n" * 2)
    (tmp_path / "odd.fr").write_text(f" {STUDENT}\u200b\nJe  suis étudiant. \n")
    plain, odd = (command("score", WALKTHROUGH, "--src", f"{n}.en", "--tgt", f"{n}.fr") for n in ("plain", "odd"))
    assert plain.status == odd.status == 0, odd.err
    assert plain.out == odd.out
    translator = pellucid.load(WALKTHROUGH, device="cpu")
    traces = [
        pellucid.trace(translator, text, level="tokens") for text in ("I am a student.", "\ufeff I  am a student.")
    ]
    assert traces[0].tokens == traces[1].tokens


def pairs(language: str) -> str:
    word = {"fra": "chien", "deu": "Hund"}[language]
    return "".join(f"the dog {i} runs home\tle {word} {i} rentre\n" for i in range(41))


def test_a_model_of_two_targets_is_trained_and_asked_by_its_tags(command: Command, tmp_path: Path) -> None:
    for language in ("fra", "deu"):
        (tmp_path / language).write_text(pairs(language))
    (tmp_path / "valid").write_text("the dog 3 runs\tle chien 3\n>>deu<< the dog 4 runs\tder Hund 4\n")
    corpora = 'data.train=[{tsv="fra", tgt_lang="fra"}, {tsv="deu", tgt_lang="deu"}]'
    more = ('data.tag=">>{tgt}<<"', corpora, 'data.valid={tsv="valid", tgt_lang="fra"}', "training.train_steps=3")
    outcome = command("train", "--preset", "tiny", "--src-lang", "en", "--output", "run", *settings(*more))
    assert outcome.status == 0, outcome.err
    tokenizer = load_bundle(tmp_path / "run").tokenizer
    assert tokenizer.source_tags == (">>fra<<", ">>deu<<")
    fra, deu = (tokenizer.source_id(tag) for tag in tokenizer.source_tags)
    store, valid = (TokenStore.open(tmp_path / "run" / "data" / name) for name in ("train", "valid"))
    assert [store.source(row)[0] for row in range(len(store))] == [(fra, deu)[c] for c in store.corpus.tolist()]
    assert [valid.source(row)[0] for row in range(len(valid))] == [fra, deu]
    assert not any(">>" in piece for piece in tokenizer.source_pieces(store.source(0).tolist())[1:])
    text = ">>deu<< the dog 3 runs\n>>ita<< the dog\nthe dog\n"
    said = command("translate", "run", "--format", "jsonl", "--set", "max_length_constant=3", stdin=text.encode())
    flags = [set(json.loads(row)["flags"]) & {"unknown_tag", "missing_tag"} for row in said.out.splitlines()]
    assert flags == [set(), {"unknown_tag"}, {"missing_tag"}]
    assert "missing_tag 1" in said.err
    assert "unknown_tag 1" in said.err
    refused = command("train", "--init-from", "run", "--output", "other", *settings(*more, 'data.tag=">>2{tgt}<<"'))
    assert refused.status == 1
    assert ">>2fra<<, >>2deu<< is not a tag of the model to start from" in refused.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (('data.tag="fra"',), "'fra' cannot be a tag"),
        (('data.tag=">>{target}<<"',), "cannot be a tag"),
        (('data.tag=">> {tgt} <<"',), "cannot be a tag"),
        (('data.tag=">>{tgt}<<"',), "needs the target language of fra"),
    ],
)
def test_a_tag_that_cannot_be_is_refused(more: tuple[str, ...], words: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "fra").write_text(pairs("fra"))
    given = ('data.train=[{tsv="fra"}]', "training.train_steps=1", *more)
    outcome = command("train", "--preset", "tiny", "--output", "run", *settings(*given))
    assert outcome.status == 1
    assert words in outcome.err


@pytest.mark.parametrize(("source", "share"), [("The dog {} runs.", 0.0), ("The dog {} runs. It is tired.", 1.0)])
def test_a_model_folder_says_what_its_model_has_seen(
    source: str, share: float, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("".join(f"{source.format(i)}\tLe chien {i}.\n" for i in range(41)))
    given = ('data.train=[{tsv="text"}]', "training.train_steps=1", 'data.valid={tsv="text"}', "tokenizer.kind=bytes")
    outcome = command("train", "--preset", "tiny", "--src-lang", "en", "--output", "run", *settings(*given))
    assert f"sentences: {100 * share:.1f} % of the sources hold more than one" in outcome.err
    bundle = load_bundle(tmp_path / "run")
    assert bundle.description.share_of_several_sentences == share
    translator = pellucid.load(tmp_path / "run", device="cpu")
    found = translator.translate("One dog. Two dogs.", max_length_constant=3)
    assert ("split" in found.flags) is (share == 0.0)


def test_training_text_is_learnt_as_it_will_be_translated(command: Command, tmp_path: Path) -> None:
    stores = []
    for name, oddity in (("plain", ""), ("odd", "\ufeff ")):
        rows = [f"{oddity}The dog {i} runs.{oddity}\t{oddity}Le chien {i}.{oddity}\n" for i in range(41)]
        (tmp_path / name).write_text("".join(rows))
        given = (f'data.train=[{{tsv="{name}"}}]', f'data.valid={{tsv="{name}"}}', "training.train_steps=1")
        outcome = command("train", "--preset", "tiny", "--output", f"run-{name}", *settings(*given))
        assert outcome.status == 0, outcome.err
        index = json.loads((tmp_path / f"run-{name}" / "data" / "train" / "index.json").read_text())
        stores.append(index["fingerprint"])
    assert stores[0] == stores[1]


def test_a_side_that_shows_nothing_is_empty(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(pairs("fra") + "\u200b\u00ad\tle chien\nthe dog\t\ufeff \n")
    given = ('data.train=[{tsv="text"}]', "training.train_steps=1")
    outcome = command("train", "--preset", "tiny", "--output", "run", *settings(*given))
    assert "dropped: empty 2" in outcome.err


def test_validation_corpora_take_turns_and_have_a_score_each(command: Command, tmp_path: Path) -> None:
    for language in ("fra", "deu"):
        (tmp_path / language).write_text(pairs(language))
    corpora = '[{tsv="fra", tgt_lang="fra", name="en-fr"}, {tsv="deu", tgt_lang="deu", name="en-de"}]'
    more = ('data.tag=">>{tgt}<<"', f"data.train={corpora}", f"data.valid={corpora}", "training.train_steps=1")
    more += ("training.valid_bleu_sentences=6", "tokenizer.kind=bytes", "translation.max_length_constant=3")
    outcome = command("train", "--preset", "tiny", "--src-lang", "en", "--output", "run", *settings(*more))
    assert outcome.status == 0, outcome.err
    rows = [json.loads(row) for row in (tmp_path / "run/data/valid.jsonl").read_text().splitlines()]
    assert [(row["corpus"], row["line"]) for row in rows[:4]] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [row["source"].split()[0] for row in rows[:4]] == [">>fra<<", ">>deu<<"] * 2
    journal = [json.loads(row) for row in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    validation = next(row for row in journal if row["kind"] == "validation")
    assert {"bleu", "bleu_en-fr", "bleu_en-de"} <= validation["scores"].keys()
