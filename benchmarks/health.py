r"""Measure what each sign of health is worth: its limit, precision, recall and AUROC on translations with references.

    python benchmarks/health.py --measure fr-en test.fr test.en --measure en-fr test.en test.fr \
        --snapshots runs/embedded --steps 200 500 1000 \
        --output src/pellucid/analysis/measured_default.json --json benchmarks/results/health.json

``--measure`` names a model folder (or an embedded direction) and two parallel files of held-out sentences, and may come
several times with the same weights; ``grammar`` twice instead of files takes the test sentences of the embedded corpus.
For a model of your own write ``--output MODEL/health.json``: the page and the terminal then show its own figures.

The sample has every sentence as it is, and a part of them disturbed in six ways (``health_sample.py``) or translated by
earlier snapshots of the run. What a translation is follows from its reference, never from a sign:

    poor        its chrF is under 30
    detached    its chrF is under 25, and at least a tenth of 40 references of other sentences come as near to it
    looping     the same two neighbours come three times or more, two times more often than any two in the source
    sound       its chrF is 50 or more

A quarter of the sentences gives the masses of attention of sound translations (``transport.py``), a quarter the limits:
each lets ``--false-alarms`` of the sound translations of undisturbed sentences through. The rest gives the figures.
Precision depends on how common the fault is: ``labels`` says how common it is here, and everyday text has fewer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from health_sample import SOUND, Case, cases_of, kinds_of, pairs_from
from machine import machine_facts

import pellucid
from pellucid.analysis.health import LOW, THRESHOLDS, HealthSign, health_of
from pellucid.analysis.measured import KINDS, Kind, Measured, Worth
from pellucid.analysis.transport import distance_to_data, distance_to_uniform, source_mass
from pellucid.bundle import load_snapshot
from pellucid.config import SentenceSplitting
from pellucid.errors import RequestError
from pellucid.jobs.models import translator_of
from pellucid.translation.translator import Translator

STRANGERS = 40
MOST_REFERENCES = 60
CHOSEN = ("source_share", "to_uniform", "to_data", "entropy", "score")
"""The signs whose limit is chosen here; the others count, and keep their rule."""
KIND_OF: Mapping[str, Kind] = {
    "repetition": "looping",
    "source_share": "detached",
    "to_uniform": "detached",
    "to_data": "detached",
}
NOTHING_MEASURED = Measured(
    model="", weights_sha256="", sample="", sample_sha256="", translations=0, signs={}, references=[[1.0]]
)


@dataclass(frozen=True)
class Reading:
    """A translated case: what it is by its reference, and what the signs say."""

    case: Case
    text: str
    chrf: float
    kinds: frozenset[str]
    signs: Mapping[str, HealthSign]
    mass: np.ndarray
    """Of the cross-attention, see ``transport.py``."""
    last_mass: np.ndarray
    """The same of the last layer."""

    @property
    def is_sound(self) -> bool:
        """Whether nobody disturbed the sentence and its translation is near the reference."""
        return self.case.group == "untouched" and self.chrf >= SOUND and not self.kinds


def readings_of(
    translator: Translator, cases: Sequence[Case], strangers: Sequence[str], words: frozenset[str] | None
) -> list[Reading]:
    """Translate cases and read their signs; what cannot be traced as one sentence is left out."""
    translator = translator.with_settings(split_sentences=SentenceSplitting.NEVER)
    found = []
    for case, result in zip(cases, translator.translate([case.source for case in cases]), strict=True):
        if result.error is not None or not result.alternatives:
            continue
        ids = result.alternatives[0].ids
        try:
            trace = pellucid.trace(translator, case.source, target_ids=ids)
        except RequestError:
            continue
        chrf, kinds = kinds_of(
            result.text, case, strangers, source_ids=trace.tokens.source_ids, target_ids=trace.tokens.predicted_ids
        )
        signs = health_of(trace, training_words=words, measured=NOTHING_MEASURED)
        mass, last = source_mass(trace), source_mass(trace, of_last_layer=True)
        assert mass is not None
        assert last is not None
        found.append(Reading(case, result.text, chrf, kinds, {sign.name: sign for sign in signs}, mass, last))
        if len(found) % 100 == 0:
            print(f"  {len(found)} of {len(cases)}", file=sys.stderr)
    return found


def with_data(readings: Sequence[Reading], references: Sequence[Sequence[float]]) -> list[Reading]:
    """Return the readings with the distance to the masses of sound translations."""
    found = []
    for reading in readings:
        sign = replace(reading.signs["to_data"], value=distance_to_data(reading.mass, references))
        found.append(replace(reading, signs={**reading.signs, "to_data": sign}))
    return found


def of_last_layer(reading: Reading) -> Reading:
    """Return a reading whose two distances are those of the last layer; that to the data comes later."""
    sign = replace(reading.signs["to_uniform"], value=distance_to_uniform(reading.last_mass))
    return replace(reading, mass=reading.last_mass, signs={**reading.signs, "to_uniform": sign})


def last_layer(readings: Sequence[Reading], *, false_alarms: float) -> dict[str, Any]:
    """Return what the two distances are worth with the attention of the last layer alone."""
    moved = [of_last_layer(reading) for reading in readings]
    masses = [r.mass.tolist() for r in moved if r.case.number % 4 == 0 and r.is_sound][:MOST_REFERENCES]
    choosing, rest = (with_data([r for r in moved if r.case.number % 4 in part], masses) for part in ((1,), (2, 3)))
    limits = {name: limit_of(name, choosing, false_alarms=false_alarms) for name in ("to_uniform", "to_data")}
    return {name: worth_of(name, "detached", rest, limit).model_dump() for name, limit in limits.items()}


def worse(name: str, value: float) -> float:
    """Return a number that is larger for a worse sign."""
    return -value if name in LOW else value


def limit_of(name: str, readings: Sequence[Reading], *, false_alarms: float) -> float:
    """Return the limit that this share of sound translations is beyond."""
    values = [worse(name, reading.signs[name].value) for reading in readings if reading.is_sound]
    return round(worse(name, float(np.quantile(values, 1 - false_alarms))), 3)


def is_raised(name: str, reading: Reading, limit: float) -> bool:
    """Tell whether a reading raises a sign with this limit."""
    sign = reading.signs[name]
    return worse(name, sign.value) > worse(name, limit) if name in CHOSEN else sign.is_raised


def auroc(bad: Sequence[float], good: Sequence[float]) -> float | None:
    """Return how often a bad one has the larger number, a draw counting half."""
    if not bad or not good:
        return None
    differences = np.sign(np.subtract.outer(bad, good))
    return round(float((differences.mean() + 1) / 2), 4)


def ratio(part: int, whole: int) -> float | None:
    """Return a share, None of nothing."""
    return round(part / whole, 4) if whole else None


def worth_of(name: str, kind: Kind, readings: Sequence[Reading], limit: float) -> Worth:
    """Return what a sign is worth for one kind of fault."""
    raised = [reading for reading in readings if is_raised(name, reading, limit)]
    of_kind = [reading for reading in readings if kind in reading.kinds]
    sound = [reading for reading in readings if reading.is_sound]
    right = sum(kind in reading.kinds for reading in raised)
    values = {
        wanted: [worse(name, r.signs[name].value) for r in readings if (kind in r.kinds) is wanted]
        for wanted in (True, False)
    }
    return Worth(
        kind=kind,
        threshold=limit,
        precision=ratio(right, len(raised)),
        recall=ratio(right, len(of_kind)),
        auroc=auroc(values[True], values[False]),
        false_alarms=ratio(sum(reading.is_sound for reading in raised), len(sound)),
    )


def measured(
    readings: Sequence[Reading], *, model: str, weights: str, sample: str, false_alarms: float
) -> tuple[Measured, dict[str, Any]]:
    """Return the measurement, and the record of all of it."""
    quarter = [[r for r in readings if r.case.number % 4 == number] for number in range(4)]
    masses = [[round(share, 3) for share in reading.mass.tolist()] for reading in quarter[0] if reading.is_sound][
        :MOST_REFERENCES
    ]
    if not masses:
        raise SystemExit("no translation of the first quarter is sound, so there is nothing to compare with")
    choosing, rest = with_data(quarter[1], masses), with_data([*quarter[2], *quarter[3]], masses)
    names = [name for name in THRESHOLDS if all(name in reading.signs for reading in readings)]
    limits = {
        name: limit_of(name, choosing, false_alarms=false_alarms) if name in CHOSEN else THRESHOLDS[name]
        for name in names
    }
    parts = {
        "all": rest,
        "disturbed": [r for r in rest if not r.case.group.startswith("step")],
        "underfitted": [r for r in rest if r.case.group.startswith("step") or r.case.group == "untouched"],
    }
    digest = hashlib.sha256(json.dumps([[r.case.source, r.case.reference] for r in readings]).encode()).hexdigest()
    record = {
        "limits": limits,
        "worth": {
            name: {
                kind: {
                    part: worth_of(name, kind, those, limits[name]).model_dump(exclude={"kind", "threshold"})
                    for part, those in parts.items()
                }
                for kind in KINDS
            }
            for name in names
        },
        "labels": {
            group: dict(Counter(label for r in rest if r.case.group == group for label in labels(r)))
            for group in dict.fromkeys(r.case.group for r in rest)
        },
        "last_layer": last_layer(readings, false_alarms=false_alarms),
        "examples": examples(rest, limits),
    }
    signs = {name: worth_of(name, KIND_OF.get(name, "poor"), rest, limits[name]) for name in names}
    result = Measured(
        model=model,
        weights_sha256=weights,
        sample=sample,
        sample_sha256=digest,
        translations=len(rest),
        signs=signs,
        references=masses,
    )
    return result, record


def labels(reading: Reading) -> list[str]:
    """Return what a translation counts as in the record."""
    return ["translations", *sorted(reading.kinds), *(["sound"] if reading.chrf >= SOUND else [])]


def examples(readings: Sequence[Reading], limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the first three translations of each kind, with the signs that they raise."""
    return [
        {
            "kind": kind,
            "group": reading.case.group,
            "source": reading.case.source,
            "text": reading.text,
            "reference": reading.case.reference,
            "chrf": round(reading.chrf, 1),
            "raised": [name for name, limit in limits.items() if is_raised(name, reading, limit)],
        }
        for kind in KINDS
        for reading in [r for r in readings if kind in r.kinds][:3]
    ]


def read_all(given: argparse.Namespace) -> tuple[list[Reading], Translator]:
    """Translate the sample with the model and its snapshots, and read the signs."""
    words = frozenset(given.words.read_text(encoding="utf-8").split()) if given.words else None
    found: list[Reading] = []
    for name, source, target in given.measure:
        pairs = pairs_from(source, target, most=given.sentences)
        translator = pellucid.load(name)
        tokenizer, origin = translator.tokenizer, translator.origin
        pieces = [piece.strip("▁") for piece in tokenizer.source_pieces(range(4, tokenizer.source_vocab_size))]
        cases = cases_of(pairs, [p for p in pieces if p.isalpha()], share=given.share, steps=given.steps)
        strangers = [reference for _, reference in random.Random(2).sample(pairs, min(STRANGERS, len(pairs)))]
        of_model = [case for case in cases if not case.group.startswith("step")]
        readings = readings_of(translator, of_model, strangers, words)
        for step in given.steps:
            assert origin is not None
            path = given.snapshots / "snapshots" / f"step-{step:08d}.safetensors"
            early = translator_of(load_snapshot(origin, path, step=step))
            readings += readings_of(early, [c for c in cases if c.group == f"step {step}"], strangers, words)
        offset = max((reading.case.number for reading in found), default=-1) // 4 * 4 + 4
        found += [replace(r, case=replace(r.case, number=r.case.number + offset)) for r in readings]
    return found, translator


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", nargs=3, action="append", required=True, metavar=("MODEL", "SOURCE", "TARGET"))
    parser.add_argument("--sentences", type=int, default=240, help="of each pair of files")
    parser.add_argument("--share", type=int, default=4, help="one in so many sentences is disturbed, in each way")
    parser.add_argument("--snapshots", type=Path, help="the run of the model")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="of the snapshots")
    parser.add_argument("--words", type=Path, help="words.txt of the run: the words of its training")
    parser.add_argument("--false-alarms", type=float, default=0.02)
    parser.add_argument("--name", default="", help="of the model, for people; else its folder's")
    parser.add_argument("--output", type=Path, help="health.json of a model folder")
    parser.add_argument("--json", type=Path, help="the record of all of it")
    given = parser.parse_args()
    readings, translator = read_all(given)
    weights = pellucid.trace(translator, readings[0].case.source, target="a", level="tokens").provenance
    sample = "; ".join("/".join(Path(source).parts[-2:]) for _, source, _ in given.measure)
    made, record = measured(
        readings,
        model=given.name or Path(given.measure[0][0]).name,
        weights=weights.weights_sha256 or "",
        sample=sample,
        false_alarms=given.false_alarms,
    )
    for name, worth in made.signs.items():
        print(f"{name:13} {worth.model_dump()}")
    for group, counts in record["labels"].items():
        print(f"  {group:16} {counts}")
    if given.output:
        given.output.write_text(made.model_dump_json() + "\n", encoding="utf-8")
    if given.json:
        table = {"machine": machine_facts(), "measured": made.model_dump(exclude={"references"})} | record
        given.json.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
