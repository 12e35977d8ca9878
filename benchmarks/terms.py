"""Measure what terms and kept placeholders cost in BLEU, with the shipped model and sentences of the demo's grammar.

    python benchmarks/terms.py --sentences 500 --tagged 1000 --output benchmarks/results/terms.json

The grammar knows which words of a pair belong together, so that it says what a term has to be and where a tag belongs.

* ``known``: one term a sentence, a source word and its word in the reference. The model writes most of them anyway.
* ``nouns``: a noun has to be translated with another noun of the same gender, number and kind of first letter, so that
  the words around it stay right; in the reference, too. The model has never seen that translation of it.
* ``new``: any word has to be translated with any other word of the reference vocabulary, mostly of another kind, as
  "les nettoyer". Where it stands shows how well the search places a word that the model finds impossible everywhere.
* ``tags``: a pair of tags around a source word, a placeholder before another one. BLEU is that of the words
  without them; ``in_place`` counts the pairs that enclose the right word alone, where ``in_reach`` sentences have it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import sacrebleu

import pellucid
from pellucid.sample import SamplePair, build_corpus, split_words
from pellucid.sample.lexicon import load_lexicon
from pellucid.translation.losses import PLACEHOLDER
from pellucid.translation.placeholders.markers import markers_of
from pellucid.translation.translator import Translator


@dataclass(frozen=True)
class Case:
    """A sentence pair, and the place of a source word and of its word in the reference."""

    pair: SamplePair
    source_word: str
    target_word: str


def case_of(pair: SamplePair, generator: random.Random) -> Case | None:
    """Choose a word with one counterpart, four letters or more on both sides."""
    source, target = split_words(pair.source), split_words(pair.target)
    found = [
        (i, j)
        for i, j in pair.links
        if source[i].isalpha() and target[j].isalpha() and min(len(source[i]), len(target[j])) >= 4
        if sum(a == i for a, _ in pair.links) == sum(b == j for _, b in pair.links) == 1
        if source.count(source[i]) == target.count(target[j]) == 1
    ]
    if not found:
        return None
    i, j = generator.choice(found)
    return Case(pair, source[i], target[j])


def replaced(text: str, word: str, other: str) -> str:
    """Return a text with one of its words replaced."""
    return re.sub(rf"\b{re.escape(word)}\b", other, text)


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU with one decimal."""
    return round(sacrebleu.corpus_bleu(list(texts), [list(references)], force=True).score, 2)


def measure_terms(
    translator: Translator, cases: Sequence[Case], wanted: Sequence[str], references: Sequence[str]
) -> dict[str, object]:
    """Translate with and without one term a sentence."""
    started = time.process_time()
    plain = translator.translate([case.pair.source for case in cases])
    between = time.process_time()
    constrained = [
        translator.translate(case.pair.source, terms=[pellucid.Term(case.source_word, word)])
        for case, word in zip(cases, wanted, strict=True)
    ]
    ended = time.process_time()
    there = [word in split_words(one.text) for one, word in zip(plain, wanted, strict=True)]
    return {
        "sentences": len(cases),
        "met_without": sum(there),
        "met": sum("terms" not in one.flags for one in constrained),
        "bleu_without": bleu([one.text for one in plain], references),
        "bleu": bleu([one.text for one in constrained], references),
        "changed_although_met_without": sum(
            is_there and one.text != other.text for is_there, one, other in zip(there, plain, constrained, strict=True)
        ),
        "processor_seconds_without_in_batches": round(between - started, 2),
        "processor_seconds_one_by_one": round(ended - between, 2),
    }


def measure_tags(translator: Translator, cases: Sequence[Case], generator: random.Random) -> dict[str, object]:
    """Translate with a pair of tags and a placeholder in each sentence."""
    texts = []
    for case in cases:
        words = replaced(case.pair.source, case.source_word, f"<b>{case.source_word}</b>").split(" ")
        words.insert(generator.randrange(len(words) + 1), generator.choice(["{0}", "%s", "<br/>", "&amp;"]))
        texts.append(" ".join(words))
    plain = translator.translate([case.pair.source for case in cases])
    kept = translator.translate(texts, placeholders="keep")
    bare = [words_of(" ".join(PLACEHOLDER.sub("", one.text).split())) for one in kept]
    references = [words_of(case.pair.target) for case in cases]
    enclosed = [re.search("<b>(.*?)</b>", without_others(one.text)) for one in kept]
    return {
        "sentences": len(cases),
        "same_tags_in_order": sum(
            markers_of(one.text) == markers_of(text) for one, text in zip(kept, texts, strict=True)
        ),
        "in_place": sum(
            found is not None and found[1].strip() == case.target_word
            for found, case in zip(enclosed, cases, strict=True)
        ),
        "in_reach": sum(case.target_word in split_words(one.text) for one, case in zip(plain, cases, strict=True)),
        "bleu_without": bleu([words_of(one.text) for one in plain], references),
        "bleu": bleu(bare, references),
    }


def words_of(text: str) -> str:
    """Return the words and signs of a text with one space between them."""
    return " ".join(split_words(text))


def without_others(text: str) -> str:
    """Return a text without markers other than the pair of tags."""
    return re.sub(r"\{0\}|%s|<br/>|&amp;", "", text)


def noun_kinds() -> dict[str, tuple[str, bool, bool]]:
    """Return gender, number and whether the first letter is a vowel, of each form of a noun that has one such kind."""
    kinds: dict[str, set[tuple[str, bool, bool]]] = {}
    for noun in load_lexicon().nouns.values():
        for form, is_plural in ((noun.french, False), (noun.french_plural, True)):
            if form.isalpha():
                kinds.setdefault(form, set()).add(
                    ("f" if noun.feminine else "m", is_plural, form[0] in "aeiouéèêâîôûhœ")
                )
    return {form: found.pop() for form, found in kinds.items() if len(found) == 1}


def measure_nouns(translator: Translator, cases: Sequence[Case], count: int, generator: random.Random) -> object:
    """Ask for another noun of the same kind."""
    kinds = noun_kinds()
    some = [case for case in cases if case.target_word in kinds][:count]
    by_kind: dict[tuple[str, bool, bool], list[str]] = {}
    for form in sorted({case.target_word for case in some}):
        by_kind.setdefault(kinds[form], []).append(form)
    some = [case for case in some if len(by_kind[kinds[case.target_word]]) > 1]
    others = [
        generator.choice([form for form in by_kind[kinds[case.target_word]] if form != case.target_word])
        for case in some
    ]
    return measure_terms(translator, some, others, swapped(some, others))


def swapped(cases: Sequence[Case], others: Sequence[str]) -> list[str]:
    """Return the references with another word in the place of each term."""
    return [replaced(case.pair.target, case.target_word, other) for case, other in zip(cases, others, strict=True)]


def main() -> None:
    """Run the measurements and write them down; those that are not run stay as they are written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--tagged", type=int, default=1000)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["known", "nouns", "new", "tags"])
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    generator = random.Random(3)
    corpus = build_corpus(seed=1, train_size=20_000, valid_size=500, test_size=2000)
    cases = [case for pair in corpus.test if (case := case_of(pair, generator))]
    some = cases[: given.sentences]
    nouns = sorted({case.target_word for case in cases})
    others = [generator.choice([noun for noun in nouns if noun != case.target_word]) for case in some]
    results: dict[str, object] = {}
    if given.output and given.output.exists():
        results = json.loads(given.output.read_text(encoding="utf-8"))
    with as_file(files("pellucid") / "sample" / "walkthrough" / "model") as folder:
        translator = pellucid.load(folder, device="cpu", engine="torch").with_settings(beam_size=given.beam_size)
        targets = [case.target_word for case in some]
        parts: dict[str, Callable[[], object]] = {
            "known": lambda: measure_terms(translator, some, targets, [case.pair.target for case in some]),
            "nouns": lambda: measure_nouns(translator, cases, given.sentences, random.Random(5)),
            "new": lambda: measure_terms(translator, some, others, swapped(some, others)),
            "tags": lambda: measure_tags(translator, cases[: given.tagged], generator),
        }
        results["beam_size"] = given.beam_size
        for name in given.parts:
            results[name] = parts[name]()
            print(name, json.dumps(results[name]), flush=True)
    text = json.dumps(results, indent=2)
    print(text)
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
