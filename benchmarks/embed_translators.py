"""Write the embedded translators of pellucid from their training run, and measure them on the held-out sentences.

    python benchmarks/embed_translators.py runs/embedded --data-dir DATA

The model folder src/pellucid/sample/translators gets the weights in int8, the tokenizer, and a card with the command,
the scores of each direction on test.* and the limits. ``make embedded RUN=... DATA_DIR=...`` does the same. Some
English sentences of one test set are in the training text of the other language pair; the card has the scores without
these too. With ``--check`` nothing is written, and the scores are compared with those of the card.

The folder also names the heads that align words (``pellucid align``): those with the least mean error rate over the
four directions, which share the model. ``--heads`` measures them alone, and names them in the folder that is there.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch

import pellucid
from pellucid.bundle import load_bundle, save_bundle
from pellucid.evaluation.metrics import MetricName, Score, corpus_score
from pellucid.jobs.aligning.files import measure_heads
from pellucid.sample import embedded
from pellucid.translation.alignment.heads import AlignmentHeads, name_heads
from pellucid.version import __version__

LARGEST_BYTES = 12_000_000
CORPORA = {"fr": "tatoeba-fra", "de": "tatoeba-deu"}
BEGINNING, END = "<!-- scores\n", "\n-->"
PAIRS_OF_THE_ALIGNER = 10_000
"""Training pairs that the statistical aligner reads beside the 2,000 pairs on which heads are measured."""
SAME_BLEU = 0.1
"""Engines round differently, which can change a word in some thousand sentences."""


@dataclass(frozen=True)
class DirectionScores:
    """The scores of a direction on its held-out sentences, and on those that no training text has a side of."""

    name: str
    sentences: int
    bleu: float
    chrf: float
    exact_match: float
    unseen_sentences: int
    unseen_bleu: float
    signature: str


def embed(run: Path, data: Path, folder: Path) -> list[DirectionScores]:
    """Write the folder whole or not at all; return the scores of what was written."""
    bundle = load_bundle(run)
    facts = {name: fact for name, fact in bundle.description.facts.items() if not isinstance(fact, str)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        draft = Path(scratch) / "translators"

        def save(card: str) -> None:
            save_bundle(
                draft,
                bundle.model,
                tokenizer=bundle.tokenizer,
                card=card,
                source_language=bundle.description.source_language,
                target_language=bundle.description.target_language,
                translation=bundle.description.translation,
                facts=facts,
                share_of_several_sentences=bundle.description.share_of_several_sentences,
                dtype=torch.int8,
            )

        save("")
        embedded.EMBEDDED_FOLDER = draft  # type: ignore[misc]
        scores = measure(data)
        save(card_of(run, scores, bundle.model.num_parameters()))
        choose_heads(data)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    embedded.EMBEDDED_FOLDER = folder  # type: ignore[misc]
    return scores


def measure(data: Path, *, most: int | None = None) -> list[DirectionScores]:
    """Translate the held-out sentences of each direction with the usual engine and settings."""
    return [measure_direction(name, data, most=most) for name in embedded.DIRECTIONS]


def measure_direction(name: str, data: Path, *, most: int | None = None) -> DirectionScores:
    """Translate the first ``most`` held-out sentences of a direction, and score them."""
    direction = embedded.DIRECTIONS[name]
    source, target = direction.source_language, direction.target_language
    other = target if source == "en" else source
    own = data / CORPORA[other]
    sources, references = (lines_of(own / f"test.{code}")[:most] for code in (source, target))
    english = sources if source == "en" else references
    seen = {line for code, corpus in CORPORA.items() if code != other for line in lines_of(data / corpus / "train.en")}
    texts = [result.text for result in pellucid.load(name).translate(sources)]
    unseen = [row for row, line in enumerate(english) if line not in seen]
    bleu = scored(texts, references, target)
    return DirectionScores(
        name=name,
        sentences=len(sources),
        bleu=round(bleu.value, 2),
        chrf=round(scored(texts, references, target, MetricName.CHRF).value, 2),
        exact_match=round(100 * sum(map(str.__eq__, texts, references)) / len(texts), 2),
        unseen_sentences=len(unseen),
        unseen_bleu=round(scored([texts[i] for i in unseen], [references[i] for i in unseen], target).value, 2),
        signature=bleu.signature,
    )


def choose_heads(data: Path) -> dict[str, float]:
    """Name the heads with the least mean error rate in the embedded folder; return their rate for each direction."""
    rates: dict[AlignmentHeads, dict[str, float]] = defaultdict(dict)
    for name, direction in embedded.DIRECTIONS.items():
        codes = (direction.source_language, direction.target_language)
        corpus = data / CORPORA[next(code for code in codes if code != "en")]
        with tempfile.TemporaryDirectory() as scratch:
            files = [Path(scratch) / code for code in codes]
            for code, file in zip(codes, files, strict=True):
                lines = lines_of(corpus / f"valid.{code}") + lines_of(corpus / f"train.{code}")[:PAIRS_OF_THE_ALIGNER]
                file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            for one in measure_heads(Path(name), *files, device="cpu", threads=1).scored:
                rates[one.heads][name] = one.error_rate
    best = min(rates, key=lambda heads: fmean(rates[heads].values()))
    name_heads(
        embedded.EMBEDDED_FOLDER,
        best,
        error_rate=fmean(rates[best].values()),
        measured_on="2,000 validation pairs of each direction, against a statistical aligner",
    )
    return {name: round(rate, 4) for name, rate in rates[best].items()}


def scored(texts: list[str], references: list[str], language: str, metric: MetricName = MetricName.BLEU) -> Score:
    """Return a score of a corpus."""
    return corpus_score(texts, references, metric=metric, target_language=language)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def card_of(run: Path, scores: list[DirectionScores], num_parameters: int) -> str:
    """Return the card: what it is, its text and licence, the command, scores and limits, and the recipe."""
    recipe = re.sub(r'"[^"\n]*/(tatoeba-)', r'"\1', (run / "recipe.toml").read_text(encoding="utf-8"))
    budgets = re.findall(r"^(minutes|train_steps|max_epochs) = (.+)$", recipe, flags=re.MULTILINE)
    budget = " ".join(f"--set training.{name}={value}" for name, value in budgets)
    rows = [
        f"| {s.name} | {s.sentences:,} | {s.bleu:.2f} | {s.chrf:.2f} | {s.exact_match:.1f} % | {s.unseen_bleu:.2f} "
        f"({s.unseen_sentences:,}) |"
        for s in scores
    ]
    table = "\n".join(rows)
    return f"""# The embedded translators: French and German, each from and to English

One Transformer (Vaswani et al. 2017) with {num_parameters:,} parameters, trained with pellucid {__version__}. A tag
before the source, such as `>>en<<`, chooses the target language; `pellucid translate fr-en` and the other names add it.
The weights are stored in int8, rounded to 8 bits row by row.

## Text and licence

The sentences are those of [tatoeba.org](https://tatoeba.org), by way of
[manythings.org/anki](https://www.manythings.org/anki/): French-English (136,674 pairs to train on) and German-English
(164,406 pairs), CC BY 2.0 FR. Attribution: tatoeba.org and www.manythings.org/anki, and the contributors named there.

## Command

    pellucid train --recipe recipes/embedded-translators.toml --data-dir DATA --output runs/embedded \\
        {budget}
    python benchmarks/embed_translators.py runs/embedded --data-dir DATA

## Scores

On held-out sentences of the same source, with the settings that `pellucid translate` has (beam search, int8 on a
processor). No sentence of either side is in the training text of that language pair, but a few English ones are in that
of the other pair; the last column leaves these out.

| direction | sentences | BLEU | chrF | exactly right | BLEU without seen English |
|---|---|---|---|---|---|
{table}

Signature of BLEU: `{scores[0].signature}`.

## Limits

* It knows short everyday sentences (six to eight words on average, many about "Tom"). News, law, science and long
  sentences are outside of what it has learnt: it then leaves out, invents or repeats. Its flags and the page show it.
* It never saw a context beyond one sentence: pronouns, forms of address (tu or vous, du or Sie) and gender are guesses.
* It has no direction between French and German, and names and numbers can come out wrong.
* Sentences of volunteers carry their views and errors. Do not use it where a wrong translation harms somebody.

## Recipe

```toml
{recipe.strip()}
```

{BEGINNING}{json.dumps([asdict(score) for score in scores], indent=1)}{END}
"""


def scores_of_card(folder: Path) -> list[DirectionScores]:
    """Return the scores that a card states."""
    card = (folder / "card.md").read_text(encoding="utf-8")
    return [DirectionScores(**row) for row in json.loads(card.split(BEGINNING)[1].split(END)[0])]


def differences(stated: list[DirectionScores], found: list[DirectionScores]) -> list[str]:
    """Return a sentence for each direction whose BLEU is not the one of the card."""
    return [
        f"{new.name}: BLEU {new.bleu:.2f}, and the card says {old.bleu:.2f}"
        for old, new in zip(stated, found, strict=True)
        if abs(old.bleu - new.bleu) > SAME_BLEU
    ]


def main() -> None:
    """Write the folder, or check its card, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", help="the run folder; not with --check")
    parser.add_argument("--data-dir", type=Path, required=True, help="with the folders tatoeba-fra and tatoeba-deu")
    parser.add_argument("--output", type=Path, default=embedded.EMBEDDED_FOLDER)
    parser.add_argument("--check", action="store_true", help="measure again, and compare with the card")
    parser.add_argument("--heads", action="store_true", help="measure the heads that align words, and name them")
    given = parser.parse_args()
    if given.heads:
        embedded.EMBEDDED_FOLDER = given.output  # type: ignore[misc]
        print(json.dumps(choose_heads(given.data_dir), indent=1))
        return
    if given.check:
        embedded.EMBEDDED_FOLDER = given.output  # type: ignore[misc]
        found = measure(given.data_dir)
    elif given.run is None:
        parser.error("give the run folder, --check or --heads")
    else:
        found = embed(given.run, given.data_dir, given.output)
    print(json.dumps([asdict(score) for score in found], indent=1))
    size = sum(path.stat().st_size for path in given.output.rglob("*") if path.is_file())
    print(f"{given.output}: {size:,} bytes")
    if size > LARGEST_BYTES:
        raise SystemExit(f"the folder is too large; limit {LARGEST_BYTES:,} bytes")
    if given.check and (wrong := differences(scores_of_card(given.output), found)):
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
