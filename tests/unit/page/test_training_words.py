"""The words of the training beside a model: those of the walkthrough hold all words that its grammar writes."""

from __future__ import annotations

from pathlib import Path

import pytest

import pellucid
from pellucid.analysis.health import bare_word
from pellucid.errors import RequestError
from pellucid.jobs.serve import walkthrough_folder
from pellucid.page.catalogue import open_model
from pellucid.sample import build_corpus


def test_the_walkthrough_knows_the_words_of_its_grammar_and_no_invented_ones() -> None:
    words = (walkthrough_folder() / "words.txt").read_text(encoding="utf-8").split()
    assert words == sorted(set(map(bare_word, words)))
    corpus = build_corpus(seed=1, train_size=3000, valid_size=0, test_size=0)
    written = {bare_word(word) for pair in corpus.train for word in pair.source.split()} - {""}
    assert written <= set(words)
    assert not {"blorf", "snurf", "gribbit"} & set(words)


def test_a_run_without_the_file_knows_nothing_of_its_words(tmp_path: Path) -> None:
    translator = pellucid.load(walkthrough_folder(), threads=1)
    (tmp_path / "metrics.jsonl").write_text("")
    opened = open_model(translator, tmp_path)
    assert opened.run_folder == tmp_path
    assert opened.training_words is None
    (tmp_path / "words.txt").write_bytes(b"a dog\n\xff")
    with pytest.raises(RequestError, match=r"words\.txt: cannot be read"):
        _ = open_model(translator, tmp_path).training_words
