"""Measure how many planted faults each flag sees, and how often it is set on correct translations.

    python benchmarks/flags.py --data ../shared/data --json benchmarks/results/flags.json

Correct pairs are those of the grammar of the embedded corpus (English-French) and, where ``--data`` has them, the test
sets of Tatoeba (English to German, French and Chinese): translations by people, which differ in style. Each fault is
planted in a correct translation; the ids are those of the walkthrough model's tokenizer, or of one trained on 20,000
pairs of Tatoeba's training sets. ``recall`` is the share of a flag's own faults that it sees, ``false_alarms`` the
share of correct pairs that have it, and ``precision`` the share of its alarms that are right where half of the lines
have one of its own faults. ``low_confidence`` needs a model, so it is measured with the walkthrough model's own
probabilities, and on the grammar alone. The rules were adjusted on pairs of the validation sets (``--split valid``).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pellucid
from pellucid.config import TokenizerConfig
from pellucid.sample.corpus import build_corpus
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer, train_tokenizer
from pellucid.translation.flags import diagnose, doubtful
from pellucid.translation.translator import Translator

Pair = tuple[str, str]
Fault = Callable[[Pair, Pair, random.Random], Pair | None]

_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|(?<=[，；：])")
_SPACELESS = re.compile(r"[\u3400-\u9fff]")


def words_of(text: str) -> list[str]:
    """Return the words, or the characters of a text in Chinese."""
    return list(text) if _SPACELESS.search(text) else text.split(" ")


def joined(words: Sequence[str], like: str) -> str:
    """Join words as ``words_of`` parts them."""
    return ("" if _SPACELESS.search(like) else " ").join(words)


def dropped_clause(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Leave out one of the clauses between commas, which has two words or more."""
    del other
    source, text = pair
    clauses = _CLAUSE_END.split(text)
    if len(clauses) < 2 or len(_CLAUSE_END.split(source)) < 2:
        return None
    place = chance.randrange(len(clauses))
    if len(words_of(clauses[place])) < 2:
        return None
    kept = [clause for number, clause in enumerate(clauses) if number != place]
    body = joined(kept, text).rstrip(" ,;:.!?，；：。！？")
    return source, body + text[-1]


def dropped_sentence(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Translate the first of two sentences only, or the second."""
    return f"{pair[0]} {other[0]}", chance.choice([pair, other])[1]


def repeated_span(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Say a span of 3 to 6 words twice in a row."""
    del other
    words = words_of(pair[1])
    size = chance.randint(3, 6)
    if len(words) < size + 1:
        return None
    start = chance.randrange(len(words) - size)
    return pair[0], joined([*words[: start + size], *words[start:]], pair[1])


def endless_span(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Say a span of 1 to 3 words six times in a row, to the end."""
    del other
    words = words_of(pair[1])
    size = chance.randint(1, 3)
    if len(words) < size + 1:
        return None
    start = chance.randrange(len(words) - size)
    return pair[0], joined([*words[:start], *words[start : start + size] * 6], pair[1])


def copied_source(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Return the source."""
    del other, chance
    return None if pair[0].strip() == pair[1].strip() else (pair[0], pair[0])


def half_copied(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Translate the first third and copy the rest of the source."""
    del other, chance
    source, text = words_of(pair[0]), words_of(pair[1])
    rest = source[len(source) // 3 :]
    return (pair[0], " ".join([joined(text[: len(text) // 3], pair[1]), *rest])) if len(rest) >= 4 else None


def swapped_number(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Change one digit of a number."""
    del other
    places = [place for place, c in enumerate(pair[1]) if c in "0123456789"]
    if not places or not re.search(r"\d", pair[0]):
        return None
    place = chance.choice(places)
    digit = chance.choice([d for d in "123456789" if d != pair[1][place]])
    return pair[0], pair[1][:place] + digit + pair[1][place + 1 :]


def hallucinated(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Go on with a sentence that the source does not have."""
    del chance
    return pair[0], f"{pair[1]} {other[1]}"


def cut_end(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Stop after 40 to 80 % of the words."""
    del other
    words = words_of(pair[1])
    kept = words[: int(len(words) * chance.uniform(0.4, 0.8))]
    return (pair[0], joined(kept, pair[1])) if len(kept) >= 2 else None


def unrelated(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
    """Translate another sentence."""
    del chance
    return (pair[0], other[1]) if pair[1] != other[1] else None


def with_carried(pair: Pair, item: str, chance: random.Random) -> Pair:
    """Return a pair that has an item somewhere on both sides."""
    sides = []
    for text in pair:
        words = words_of(text)
        words.insert(chance.randrange(len(words)), item)
        sides.append(joined(words, text))
    return sides[0], sides[1]


ITEMS = {
    "placeholders": (("{name}", "{nom}"), ("%s", "% s"), ("{0}", "{O}"), ("<b>", ""), ("&amp;", "&"), ("${x}", "$x")),
    "addresses": (("https://example.org/a?b=1", "https://example.org/a"), ("me@example.org", "me@example")),
    "emoji": (("\U0001f600", ""), ("\u2764\ufe0f", "")),
    "numbers": (("1,250.5", "1,205.5"), ("2026", "2025"), ("37", "73")),
}


def damaged(kind: str) -> Fault:
    """Return the fault that changes or loses an item that should come through."""

    def fault(pair: Pair, other: Pair, chance: random.Random) -> Pair | None:
        del other
        item, wrong = chance.choice(ITEMS[kind])
        source, text = with_carried(pair, item, chance)
        return source, text.replace(item, wrong)

    return fault


FAULTS: Mapping[str, tuple[Fault, tuple[str, ...]]] = {
    "clause left out": (dropped_clause, ("omission",)),
    "sentence left out": (dropped_sentence, ("omission",)),
    "end cut off": (cut_end, ("ending", "omission", "length")),
    "span twice in a row": (repeated_span, ("repetition",)),
    "span six times": (endless_span, ("repetition",)),
    "source copied": (copied_source, ("copy",)),
    "two thirds copied": (half_copied, ("copy",)),
    "digit changed": (swapped_number, ("numbers",)),
    "planted number changed": (damaged("numbers"), ("numbers",)),
    "sentence added": (hallucinated, ("addition", "length")),
    "placeholder changed": (damaged("placeholders"), ("placeholders",)),
    "address changed": (damaged("addresses"), ("addresses",)),
    "emoji lost": (damaged("emoji"), ("emoji",)),
    "another sentence": (unrelated, ("low_confidence",)),
}
OWN_FAULTS: Mapping[str, tuple[str, ...]] = {
    "repetition": ("span twice in a row", "span six times"),
    "omission": ("clause left out", "sentence left out"),
    "ending": ("end cut off",),
    "addition": ("sentence added",),
    "copy": ("source copied", "two thirds copied"),
    "numbers": ("digit changed", "planted number changed"),
    "placeholders": ("placeholder changed",),
    "addresses": ("address changed",),
    "emoji": ("emoji lost",),
    "low_confidence": ("another sentence",),
}


class Corpus(NamedTuple):
    """Correct pairs, with what numbers their pieces."""

    name: str
    pairs: Sequence[Pair]
    tokenizer: Tokenizer
    translator: Translator | None


def flags_of(corpus: Corpus, pairs: Sequence[Pair]) -> list[set[str]]:
    """Return the flags of each pair."""
    tokenizer = corpus.tokenizer
    scored = corpus.translator.score([s for s, _ in pairs], [t for _, t in pairs]) if corpus.translator else []
    found = []
    for place, (source, text) in enumerate(pairs):
        (source_ids,), (target_ids,) = tokenizer.encode_source([source]), tokenizer.encode_target([text])
        flags = set(
            diagnose(
                source,
                text,
                source_ids=source_ids,
                target_ids=target_ids,
                unk_id=tokenizer.specials.unk,
                pieces_of=lambda words: len(tokenizer.encode_source([words])[0]),
            )
        )
        if scored and doubtful(scored[place].log_probability, len(scored[place].ids)):
            flags.add("low_confidence")
        found.append(flags)
    return found


def correct_pairs(pairs: Sequence[Pair], chance: random.Random) -> list[Pair]:
    """Return the pairs, some joined to two sentences and some with an item that comes through."""
    found: list[Pair] = []
    for place, pair in enumerate(pairs):
        if place % 4 == 1:
            other = pairs[place - 1]
            pair = f"{pair[0]} {other[0]}", f"{pair[1]} {other[1]}"
        if place % 4 == 2:
            pair = with_carried(pair, chance.choice(ITEMS[chance.choice([*ITEMS])])[0], chance)
        found.append(pair)
    return found


def measured(corpus: Corpus, *, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return the rows of one corpus: by fault what sees it, and by flag its recall, false alarms and precision."""
    chance = random.Random(seed)
    right = flags_of(corpus, correct_pairs(corpus.pairs, chance))
    plain = flags_of(corpus, corpus.pairs)  # the model of the grammar knows no placeholders and no second sentences
    faulty: dict[str, list[set[str]]] = {}
    for name, (fault, _) in FAULTS.items():
        planted = [
            made
            for place, pair in enumerate(corpus.pairs)
            if (made := fault(pair, corpus.pairs[(place + 7) % len(corpus.pairs)], chance)) is not None
        ]
        faulty[name] = flags_of(corpus, planted)
    by_fault = {
        name: {
            "lines": float(len(rows)),
            "seen": round(sum(bool(flags & {*FAULTS[name][1]}) for flags in rows) / len(rows), 4),
        }
        for name, rows in faulty.items()
        if rows and (name != "another sentence" or corpus.translator)
    }
    by_flag = {}
    for flag, names in OWN_FAULTS.items():
        rows = [flags for name in names for flags in faulty[name]]
        if not rows or (flag == "low_confidence" and not corpus.translator):
            continue
        recall = sum(flag in flags for flags in rows) / len(rows)
        correct = plain if flag == "low_confidence" else right
        alarms = sum(flag in flags for flags in correct) / len(correct)
        precision = recall / (recall + alarms) if recall + alarms else 0.0
        by_flag[flag] = {
            "recall": round(recall, 4),
            "false_alarms": round(alarms, 4),
            "precision": round(precision, 4),
        }
    return {"faults": by_fault, "flags": by_flag}


def corpora(data: Path | None, *, split: str, most: int) -> list[Corpus]:
    """Return the corpora that are there."""
    translator = pellucid.load(Path(pellucid.__file__).parent / "sample" / "walkthrough")
    sample = build_corpus(seed=1, train_size=20_000, valid_size=500, test_size=500)
    found = [
        Corpus(
            "grammar en-fr",
            [(pair.source, pair.target) for pair in getattr(sample, split)][:most],
            translator.tokenizer,
            translator,
        )
    ]
    for folder, code in (("tatoeba-deu", "de"), ("tatoeba-fra", "fr"), ("tatoeba-cmn", "zh")):
        if data is None or not (data / folder / f"{split}.en").exists():
            continue
        train = pairs_of(data / folder, "train", code)[:20_000]
        tokenizer = train_tokenizer(
            lambda train=train: (SentencePair(s, t, line, 0) for line, (s, t) in enumerate(train)),  # type: ignore[misc]
            TokenizerConfig(vocab_size=6000),
            seed=1,
            threads=1,
        )
        every = pairs_of(data / folder, split, code)
        with_digits = [pair for pair in every if re.search(r"\d", pair[0])][: most // 10]
        found.append(Corpus(f"Tatoeba en-{code}", [*every[:most], *with_digits], tokenizer, None))
    return found


def pairs_of(folder: Path, split: str, code: str) -> list[Pair]:
    """Read two parallel files."""
    sides = [(folder / f"{split}.{side}").read_text(encoding="utf-8").splitlines() for side in ("en", code)]
    return list(zip(*sides, strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    record = {
        corpus.name: measured(corpus, seed=1) for corpus in corpora(given.data, split=given.split, most=given.lines)
    }
    for name, tables in record.items():
        print(f"\n{name}")
        for flag, row in tables["flags"].items():
            print(f"  {flag:16}" + "  ".join(f"{key} {value:6.1%}" for key, value in row.items()))
        for fault, row in tables["faults"].items():
            print(f"    {fault:24} seen {row['seen']:6.1%} of {row['lines']:.0f}")
    if given.json:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
