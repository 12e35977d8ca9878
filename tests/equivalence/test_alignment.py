"""Alignments come from the weights that a trace shows, whatever the batch, and they agree with the grammar's links."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.commands import Command

import pellucid
from pellucid.analysis.alignment import links_of_trace
from pellucid.bundle import read_description
from pellucid.errors import RequestError
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import SamplePair
from pellucid.translation.alignment.attention import every_head, mean_of_heads
from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep, heads_in, name_heads
from pellucid.translation.alignment.links import Span, links_of, word_weights
from pellucid.translation.translator import Translator

FOLDER = Path(pellucid.__file__).parent / "sample" / "walkthrough"


@pytest.fixture(scope="module")
def translator() -> Translator:
    return pellucid.load(FOLDER)


@pytest.fixture(scope="module")
def pairs() -> tuple[SamplePair, ...]:
    return build_corpus(seed=1, train_size=0, valid_size=0, test_size=60).test


def ids_of(translator: Translator, pairs: tuple[SamplePair, ...]) -> list[tuple[list[int], list[int]]]:
    sources = translator.tokenizer.encode_source([pair.source for pair in pairs])
    targets = translator.tokenizer.encode_target([pair.target for pair in pairs])
    return [([*s, translator.tokenizer.specials.eos], t) for s, t in zip(sources, targets, strict=True)]


def test_weights_are_those_of_a_trace_in_any_batch(translator: Translator, pairs: tuple[SamplePair, ...]) -> None:
    ids = ids_of(translator, pairs[:7])
    together = dict(every_head(translator.model, ids, batch_size=4096))
    alone = dict(every_head(translator.model, ids, batch_size=1))
    for place, pair in enumerate(pairs[:7]):
        trace = pellucid.trace(translator, pair.source, target=pair.target, level="attention")
        traced = trace["decoder.4.cross_attention.weights"]  # one row more: the step that writes the end
        np.testing.assert_allclose(together[place][AlignmentStep.WRITES][4], traced[:, :-1], atol=2e-6)
        np.testing.assert_allclose(together[place][AlignmentStep.READS][4], traced[:, 1:], atol=2e-6)
        for step in AlignmentStep:
            np.testing.assert_allclose(alone[place][step], together[place][step], atol=2e-6)


def test_the_mean_of_heads_is_their_mean(translator: Translator, pairs: tuple[SamplePair, ...]) -> None:
    ids = ids_of(translator, pairs[:3])
    heads = AlignmentHeads(((1, 0), (5, 3)), AlignmentStep.READS)
    every = dict(every_head(translator.model, ids, batch_size=4096))
    for place, mean in mean_of_heads(translator.model, ids, heads=heads, batch_size=4096):
        expected = (every[place][AlignmentStep.READS][1, 0] + every[place][AlignmentStep.READS][5, 3]) / 2
        np.testing.assert_allclose(mean, expected, atol=1e-6)


def holds(spans: Sequence[Span], word: Span) -> int:
    """Return which span holds a word."""
    (place,) = [place for place, (start, end) in enumerate(spans) if start <= word[0] and word[1] <= end]
    return place


def test_the_links_of_a_trace_are_those_of_a_translation_and_of_every_head(
    translator: Translator, pairs: tuple[SamplePair, ...]
) -> None:
    ids = ids_of(translator, pairs[:5])
    every = dict(every_head(translator.model, ids, batch_size=4096))
    for place, pair in enumerate(pairs[:5]):
        trace = pellucid.trace(translator, pair.source, target=pair.target, level="attention")
        found, spaced = links_of_trace(trace, unit="words"), links_of_trace(trace)
        assert (spaced.source_words, spaced.target_words) == (tuple(pair.source.split()), tuple(pair.target.split()))
        for step, weights in every[place].items():
            for layer, head in ((0, 1), (5, 3)):
                words = word_weights(
                    weights[layer, head][:, : len(ids[place][0]) - 1],
                    source=found.source_spans,
                    target=found.target_spans,
                )
                assert found.heads[step][layer][head] == links_of(words)
                between = {
                    (
                        holds(spaced.source_spans, found.source_spans[i]),
                        holds(spaced.target_spans, found.target_spans[j]),
                    )
                    for i, j in links_of(words)
                }
                assert spaced.heads[step][layer][head] == tuple(sorted(between))
    (translated,) = translator.translate([pairs[0].source], alignment=True)
    assert translated.alignment is not None
    own = links_of_trace(pellucid.trace(translator, pairs[0].source), unit="words")
    assert own.source_words == translated.alignment.source_words
    assert own.by_named == translated.alignment.links
    assert own.contributions


def test_the_shipped_model_aligns_as_its_grammar_does(translator: Translator, pairs: tuple[SamplePair, ...]) -> None:
    found = translator.translate([pair.source for pair in pairs], alignment=True)
    common = total = 0
    for pair, result in zip(pairs, found, strict=True):
        assert result.alignment is not None
        words = "".join(result.alignment.source_words), "".join(result.alignment.target_words)
        assert words == (pair.source.replace(" ", ""), result.text.replace(" ", ""))
        if result.text != pair.target:
            continue
        # The grammar's words are smaller (an elided article is one), so its links are read between spaces.
        gold = {(between(pair.source, i), between(pair.target, j)) for i, j in pair.links}
        own = {tuple(map(int, link.split("-"))) for link in result.alignment.pharaoh.split()}
        common += 2 * len(gold & own)
        total += len(gold) + len(own)
    assert total > 500
    stated = translator.origin.description.facts["alignment_error_rate"]
    assert common / total > 1 - stated - 0.05, "as good as the folder says, within the chance of 60 sentences"


def between(text: str, word: int) -> int:
    """Return the number between spaces of a word of the grammar."""
    from pellucid.sample.words import split_words

    letters = sum(map(len, split_words(text)[:word])) + 1
    for place, stretch in enumerate(text.split()):
        letters -= len(stretch)
        if letters <= 0:
            return place
    raise AssertionError(text)


def test_a_split_text_is_numbered_on_and_others_have_alignments_of_their_own(translator: Translator) -> None:
    first, second = "The cat sleeps.", "The dog is happy."
    texts = [f"  {first} {second}", "", "- ...", first, None]
    split, blank, copied, alone, failed = translator.translate(texts, alignment=True)
    assert split.alignment is not None
    assert alone.alignment is not None
    assert "split" in split.flags
    links = split.alignment.pharaoh.split()
    assert links[: len(alone.alignment.pharaoh.split())] == alone.alignment.pharaoh.split()
    assert max(int(link.split("-")[0]) for link in links) == len(texts[0].split()) - 1  # type: ignore[union-attr]
    assert max(int(link.split("-")[1]) for link in links) == len(split.text.split()) - 1
    assert blank.alignment is not None
    assert blank.alignment.pharaoh == ""
    assert copied.alignment is not None
    assert copied.alignment.pharaoh == "0-0 1-1"
    assert failed.alignment is None
    assert translator.translate(first).alignment is None


def test_a_folder_that_names_no_heads_says_how_to_choose_them(tmp_path: Path, translator: Translator) -> None:
    folder = copy_without_heads(tmp_path)
    with pytest.raises(RequestError, match=r"names no alignment_heads.*pellucid align MODEL"):
        pellucid.load(folder).translate("The cat sleeps.", alignment=True)
    name_heads(folder, AlignmentHeads(((4, 6),)), error_rate=0.25, measured_on="nothing")
    assert pellucid.load(folder).translate("The cat sleeps.", alignment=True).alignment is not None


def copy_without_heads(tmp_path: Path) -> Path:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(FOLDER / "model", folder)
    lines = (folder / "model.toml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("alignment_")]
    (folder / "model.toml").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def test_the_command_chooses_heads_and_aligns(command: Command, tmp_path: Path, pairs: tuple[SamplePair, ...]) -> None:
    folder = copy_without_heads(tmp_path)
    (tmp_path / "en").write_text("".join(f"{pair.source}\n" for pair in pairs), encoding="utf-8")
    (tmp_path / "fr").write_text("".join(f"{pair.target}\n" for pair in pairs), encoding="utf-8")
    sides = "--src", tmp_path / "en", "--tgt", tmp_path / "fr"
    assert "names no alignment_heads" in command("align", folder, *sides).err
    chosen = command("align", folder, *sides, "--choose")
    assert chosen.status == 0, chosen.err
    description = read_description(folder)
    heads = heads_in(description.facts, description.model, place="")
    assert heads is not None
    assert f"heads {heads.name} " in chosen.err
    assert "60 pairs" in str(description.facts["alignment_measured_on"])
    links = command("align", folder, *sides)
    assert links.status == 0, links.err
    assert len(links.out.splitlines()) == len(pairs)
    (tmp_path / "gold").write_text(links.out, encoding="utf-8")
    again = command("align", folder, *sides, "--choose", "--gold", tmp_path / "gold")
    assert f"heads {heads.name} at the step that {heads.step} a piece: error rate 0.0" in again.err
    (tmp_path / "gold").write_text("99-0\n" * len(pairs), encoding="utf-8")
    assert (
        "gold, line 1: '99-0' is no link"
        in command("align", folder, *sides, "--choose", "--gold", tmp_path / "gold").err
    )


def test_the_command_translates_with_alignments(command: Command, tmp_path: Path, translator: Translator) -> None:
    text = "The animal didn't cross the street because it was too tired."
    result = translator.translate(text, alignment=True)
    assert result.alignment is not None
    (tmp_path / "en").write_text(f"{text}\n\n", encoding="utf-8")
    done = command("translate", FOLDER, tmp_path / "en", "--alignment", "--engine", "torch")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [f"{result.text} ||| {result.alignment.pharaoh}", " ||| "]
    done = command("translate", FOLDER, tmp_path / "en", "--alignment", "--engine", "torch", "--format", "jsonl")
    record = json.loads(done.out.splitlines()[0])
    assert record["alignment"]["links"] == [list(link) for link in result.alignment.links]
    assert record["alignment"]["source_words"] == list(result.alignment.source_words)
    assert "--format moses" in command("translate", FOLDER, tmp_path / "en", "--alignment", "--format", "moses").err
