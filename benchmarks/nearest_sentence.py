"""Measure a baseline for translators: return the translation of the nearest training sentence.

    python benchmarks/nearest_sentence.py --data-dir DATA --src zh --tgt en

The distance is the cosine of idf-weighted character n-grams (1 to 3) of the source sentences, without n-grams that
occur in more than a tenth of the sentences. The files are DATA/train.SRC, DATA/train.TGT, DATA/test.SRC, DATA/test.TGT.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from pellucid.evaluation.report import evaluate_translations

_LONGEST_GRAM = 3
_MOST_COMMON_SHARE = 0.1


def grams(text: str) -> Counter[str]:
    folded = text.lower()
    return Counter(folded[i : i + n] for n in range(1, _LONGEST_GRAM + 1) for i in range(len(folded) - n + 1))


def nearest(sources: Sequence[str], queries: Sequence[str]) -> list[int]:
    """Return, for each query, the row of the nearest source; the first one if several are equally near."""
    counted = [grams(text) for text in sources]
    holders: dict[str, list[int]] = defaultdict(list)
    for row, found in enumerate(counted):
        for gram in found:
            holders[gram].append(row)
    most = max(1.0, _MOST_COMMON_SHARE * len(sources))
    idf = {gram: math.log(len(sources) / len(rows)) for gram, rows in holders.items() if len(rows) <= most}
    norms = [math.sqrt(sum((n * idf.get(g, 0.0)) ** 2 for g, n in found.items())) or 1.0 for found in counted]
    result = []
    for query in queries:
        scores: dict[int, float] = defaultdict(float)
        for gram, count in grams(query).items():
            for row in holders[gram] if gram in idf else ():
                scores[row] += count * counted[row][gram] * idf[gram] ** 2
        result.append(max(scores, key=lambda row: (scores[row] / norms[row], -row), default=0))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--src", required=True)
    parser.add_argument("--tgt", required=True)
    given = parser.parse_args()

    def lines(name: str) -> list[str]:
        return (given.data_dir / name).read_text(encoding="utf-8").split("\n")[:-1]

    rows = nearest(lines(f"train.{given.src}"), lines(f"test.{given.src}"))
    targets = lines(f"train.{given.tgt}")
    report = evaluate_translations(
        [targets[row] for row in rows], lines(f"test.{given.tgt}"), target_language=given.tgt
    )
    print(report.to_text())


if __name__ == "__main__":
    main()
