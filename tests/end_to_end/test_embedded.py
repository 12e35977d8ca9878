"""The names of the embedded translators stand for a model folder, wherever one can be named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.embedded_model import TAGS, embed_random_model
from tests.end_to_end.conftest import Outcome

import pellucid
from pellucid.bundle import load_bundle
from pellucid.config import TokenizerConfig
from pellucid.errors import BundleError
from pellucid.jobs.serve import open_catalogue
from pellucid.sample.corpus import build_corpus
from pellucid.sample.embedded import DIRECTIONS
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import BytesTokenizer, train_tokenizer

Command = Callable[..., Outcome]
SHORT = ("--set", "max_length_constant=7", "--set", "max_length_factor=0.01", "--engine", "torch")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return embed_random_model(tmp_path / "embedded", monkeypatch)


def test_a_name_translates_as_the_model_with_the_tag_before_each_sentence(folder: Path, command: Command) -> None:
    text = "Wo ist der Hund? Er rennt.\nNein.\n"
    tagged = ">>en<< Wo ist der Hund? Er rennt.\n>>en<< Nein.\n"
    by_name = command("translate", "de-en", *SHORT, stdin=text.encode())
    by_tag = command("translate", folder, *SHORT, stdin=tagged.encode())
    assert by_name.status == by_tag.status == 0, by_name.err
    assert by_name.out == by_tag.out
    assert "missing_tag" not in by_name.err
    other = command("translate", "en-fr", *SHORT, stdin=text.encode())
    assert other.out != by_name.out


def test_a_text_in_quotes_is_translated_itself(folder: Path, command: Command) -> None:
    by_text = command("translate", "fr-en", "Où est la gare ?", *SHORT)
    assert by_text.status == 0, by_text.err
    assert by_text.out == command("translate", "fr-en", *SHORT, stdin="Où est la gare ?\n".encode()).out
    assert "the text itself" in by_text.err


def test_python_loads_a_direction_with_its_languages(folder: Path) -> None:
    translator = pellucid.load("fr-en", engine="torch")
    assert (translator.source_language, translator.target_language) == ("fr", "en")
    trace = pellucid.trace(translator, "Oui.", level="tokens")
    assert trace.tokens.source_pieces[0] == ">>en<<"


def test_a_score_is_that_of_the_tagged_source(folder: Path) -> None:
    by_name = pellucid.load("en-de", engine="torch").score(["yes"], ["ja"])
    by_tag = pellucid.load(folder, engine="torch").score([">>de<< yes"], ["ja"])
    assert by_name[0].log_probability == by_tag[0].log_probability


def test_an_unknown_name_lists_those_that_there_are(folder: Path, command: Command) -> None:
    outcome = command("translate", "fr-xx", stdin=b"Oui.\n")
    assert outcome.status == 1
    assert "fr-xx: no such folder" in outcome.err
    assert "fr-en, en-fr, de-en, en-de" in outcome.err


def test_an_installation_without_the_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.sample.embedded.EMBEDDED_FOLDER", tmp_path / "nowhere")
    with pytest.raises(BundleError, match="not part of this installation"):
        pellucid.load("fr-en")


def test_a_folder_of_that_name_comes_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fr-en").mkdir()
    with pytest.raises(BundleError, match=r"holds no model\.toml"):
        pellucid.load("fr-en")


def test_the_page_offers_each_direction_beside_the_walkthrough(folder: Path) -> None:
    catalogue = open_catalogue([], with_embedded=True)
    assert [model.id for model in catalogue.models] == ["walkthrough", *DIRECTIONS]
    french, english = catalogue.get("fr-en"), catalogue.get("en-fr")
    assert french.examples == DIRECTIONS["fr-en"].examples
    assert french.translator.model is english.translator.model
    assert french.translator.translate("Oui.", max_length_constant=3).text == (
        pellucid.load("fr-en", engine="torch").translate("Oui.", max_length_constant=3).text
    )


def test_an_export_has_every_direction_and_names_the_tag_of_this_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = build_corpus(seed=1, train_size=300, valid_size=0, test_size=0).train
    pairs = [SentencePair(pair.source, pair.target, 0, 0) for pair in text]
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(vocab_size="auto"), seed=1, threads=1, tags=TAGS)
    embed_random_model(tmp_path / "embedded", monkeypatch, tokenizer=tokenizer)
    outcome = command("export", "fr-en", "--format", "ctranslate2", "--output", "exported")
    assert outcome.status == 0, outcome.err
    assert "begin every source with >>en<<" in outcome.err + outcome.out


def test_a_model_that_starts_from_a_direction_keeps_its_tag(folder: Path, command: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("".join(f"le chien {i}\tthe dog {i}\n" for i in range(23)))
    settings = ['data.train=[{tsv="a"}]', 'data.valid={tsv="b"}', "training.train_steps=1"]
    settings += ["training.valid_bleu_sentences=1", "translation.max_length_constant=3"]
    options = [part for setting in settings for part in ("--set", setting)]
    outcome = command("train", "--init-from", "fr-en", "--output", "run", *options)
    assert outcome.status == 0, outcome.err
    tuned = load_bundle(tmp_path / "run")
    assert isinstance(tuned.tokenizer, BytesTokenizer)
    assert tuned.tokenizer.default_tag == ">>en<<"
    assert tuned.tokenizer.encode_source(["le"]) == tuned.tokenizer.encode_source([">>en<< le"])


def test_embedded_translators_align_words(command: Command, tmp_path: Path) -> None:
    """The tag of a direction is no word; one that the text begins with stands between spaces, so it has a number."""
    text = "Elle a acheté une nouvelle voiture."
    (tmp_path / "fr").write_text(f"{text}\n>>en<< {text}\n", encoding="utf-8")
    (tmp_path / "en").write_text("She bought a new car.\n" * 2, encoding="utf-8")
    outcome = command("align", "fr-en", "--src", "fr", "--tgt", "en", "--device", "cpu")
    assert outcome.status == 0, outcome.err
    found = [[tuple(map(int, link.split("-"))) for link in line.split()] for line in outcome.out.splitlines()]
    assert {(0, 0), (2, 1), (4, 3), (5, 4)} <= set(found[0]), "she, bought, new, car"
    assert found[1] == [(source + 1, target) for source, target in found[0]]
    alignment = pellucid.load("fr-en", device="cpu").translate(text, alignment=True).alignment
    assert alignment is not None
    assert max(source for source, _ in found[0]) == max(source for source, _ in alignment.links_between_spaces) == 5
    (tmp_path / "gold").write_text("0-0 2-1 3-2 4-3 5-4\n1-0 3-1 4-2 5-3 6-4\n", encoding="utf-8")
    measured = command("align", "fr-en", "--src", "fr", "--tgt", "en", "--gold", "gold", "--device", "cpu")
    assert measured.out == outcome.out
    assert "recall 1.000" in measured.err
