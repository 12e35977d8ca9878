"""Align the words of two parallel files, or choose the heads of a model that do so best.

The links that judge the heads are those of a file in Pharaoh format, whose numbers count the words between spaces, or
those of the statistical aligner on the same pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pellucid.bundle import Bundle, find_model_folder, load_bundle
from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import DataError, RequestError, counted
from pellucid.runtime import Runtime
from pellucid.sample.embedded import is_shipped
from pellucid.text.corpus import SentencePair, read_pairs
from pellucid.text.lines import read_lines
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.file import write_whole
from pellucid.tracing.sites import member
from pellucid.translation.alignment.attention import mean_of_heads
from pellucid.translation.alignment.choosing import KnownPair, Scored, error_rate, scored_heads
from pellucid.translation.alignment.heads import heads_of_origin, name_heads
from pellucid.translation.alignment.links import Link, Span
from pellucid.translation.alignment.pairs import AlignedPart, joined, places_of, words_of
from pellucid.translation.alignment.results import num_tags
from pellucid.translation.alignment.statistics import aligned_by_counts
from pellucid.translation.alignment.words import Word
from pellucid.translation.hypothesis import Alignment

__all__ = ["Choice", "GoldOrder", "MeasuredLinks", "align_files", "choose_heads", "measure_heads", "measure_links"]

_BATCH_TOKENS: Final = 4096
_MOST_MEASURED: Final = 2000
_LINK: Final = re.compile(r"(\d{1,9})-(\d{1,9})")


class GoldOrder(StrEnum):
    """What the numbers of a known link count."""

    SOURCE_TARGET = "source-target"
    """The first number a word of the source, the second one of the translation."""
    TARGET_SOURCE = "target-source"


@dataclass(frozen=True)
class MeasuredLinks:
    """The links of every pair, and what they score against known links."""

    links: Sequence[Sequence[Link]]
    """Of words between spaces."""
    scores: Sequence[tuple[float, float, float]]
    """Precision, recall and alignment error rate of each pair."""
    whole: tuple[float, float, float]
    """The same for all pairs together."""

    def to_text(self) -> str:
        """Return a line for the screen."""
        precision, recall, rate = self.whole
        pairs = counted(len(self.links), "pair")
        return f"{pairs}: error rate {rate:.3f}, precision {precision:.3f}, recall {recall:.3f}"

    def write_scores(self, path: Path) -> None:
        """Write one line for each pair: precision, recall and error rate, separated by tabs.

        Raises:
            DataError: the file cannot be written there.
            StoppedError: the disk is full.
        """
        lines = ["precision\trecall\terror_rate", *("\t".join(f"{one:.4f}" for one in row) for row in self.scores)]
        write_whole(path, ("\n".join(lines) + "\n").encode())


@dataclass(frozen=True)
class Choice:
    """What was measured: every candidate, the best first."""

    scored: Sequence[Scored]
    pairs: int
    against: str

    def to_text(self, *, most: int = 5) -> str:
        """Return lines for the screen: the best candidates, with what they scored."""
        rows = [
            f"heads {one.heads.name} at the step that {one.heads.step} a piece: error rate {one.error_rate:.3f}, "
            f"precision {one.precision:.3f}, recall {one.recall:.3f}"
            for one in self.scored[:most]
        ]
        return "\n".join([f"{counted(self.pairs, 'pair')}, against {self.against}", *rows, *self._table()])

    def _table(self) -> list[str]:
        """Return the error rates of every head, and of the mean of every layer, at the step of the best candidate."""
        step = self.scored[0].heads.step
        rates = {one.heads.heads: one.error_rate for one in self.scored if one.heads.step is step}
        layers, heads = ({pair[place] for group in rates for pair in group} for place in (0, 1))
        lines = [f"error rates at the step that {step} a piece: a row for each layer, a column for each head, the mean"]
        for layer in sorted(layers):
            row = [rates[((layer, head),)] for head in sorted(heads)]
            row += [rate for group, rate in rates.items() if len(group) > 1 and group[0][0] == layer]
            lines.append(f"{layer:>3} " + " ".join(f"{rate:.3f}" for rate in row))
        return lines


@dataclass(frozen=True)
class _Pair:
    """A pair in ids."""

    source: Sequence[int]
    """With the end."""
    target: Sequence[int]
    tags: int
    """Language tags before the first word of the source, which are no words themselves."""
    stretches_before: int
    """Stretches between spaces before the first word: 1 where the text itself begins with a tag."""

    @property
    def ids(self) -> tuple[list[int], list[int]]:
        return [*self.source], [*self.target]

    def pieces(self, tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
        """Return the pieces of both sides without tags and ends."""
        return tokenizer.source_pieces(self.source[self.tags : -1]), tokenizer.target_pieces(self.target)


def align_files(model: Path, src: Path, tgt: Path, *, device: str = "auto", threads: int = 0) -> Iterator[str]:
    """Yield the links of every pair as ``0-0 1-2``, the numbers counting the words between spaces.

    Raises:
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel, or a pair is too long for the model.
        RequestError: the model folder names no heads.
    """
    pairs = _pairs(src, tgt)
    bundle = _opened(model, device=device, threads=threads)
    for alignment in _alignments(bundle, _in_ids(bundle, pairs)):
        yield alignment.pharaoh


def measure_links(
    model: Path,
    src: Path,
    tgt: Path,
    *,
    gold: Path,
    order: str = GoldOrder.SOURCE_TARGET,
    device: str = "auto",
    threads: int = 0,
) -> MeasuredLinks:
    """Compare the links that ``align_files`` yields with known ones.

    Raises:
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel, a link is wrong, or a pair is too long for the model.
        RequestError: the model folder names no heads, or there is no such order.
    """
    wanted = member(GoldOrder, order, "gold_order")
    pairs = _pairs(src, tgt)
    lines = _gold_lines(gold, len(pairs))
    bundle = _opened(model, device=device, threads=threads)
    ids = _in_ids(bundle, pairs)
    known = _known_by_file(bundle, ids, lines, gold, wanted)
    links = [alignment.links_between_spaces for alignment in _alignments(bundle, ids)]
    return MeasuredLinks(
        links,
        [error_rate([own], [pair.links]) for own, pair in zip(links, known, strict=True)],
        error_rate(links, [pair.links for pair in known]),
    )


def choose_heads(
    model: Path,
    src: Path,
    tgt: Path,
    *,
    gold: Path | None = None,
    order: str = GoldOrder.SOURCE_TARGET,
    device: str = "auto",
    threads: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Measure the heads of a model on the first 2,000 pairs, and name the best ones in its folder.

    The arguments are those of ``measure_heads``.

    Raises:
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel, a link is wrong, or a pair is too long for the model.
        RequestError: the model is part of the installed package; no pair has links, or there is no such order.
    """
    folder = find_model_folder(model)
    if is_shipped(folder):
        raise RequestError(
            f"{model}: --choose would write into the installed package, {folder}; copy that folder, and choose in the "
            "copy. The heads that it names were measured, and align uses them without --choose"
        )
    choice = measure_heads(model, src, tgt, gold=gold, order=order, device=device, threads=threads, say=say)
    best = choice.scored[0]
    name_heads(
        folder,
        best.heads,
        error_rate=best.error_rate,
        measured_on=f"{counted(choice.pairs, 'pair')} of {src.name} and {tgt.name}, against {choice.against}",
    )
    return choice


def measure_heads(
    model: Path,
    src: Path,
    tgt: Path,
    *,
    gold: Path | None = None,
    order: str = GoldOrder.SOURCE_TARGET,
    device: str = "auto",
    threads: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Measure the heads of a model on the first 2,000 pairs.

    Args:
        model: a model folder, a run folder, or an embedded translator.
        src: source sentences, one a line.
        tgt: their translations.
        gold: the links of each pair, one line each; None asks the statistical aligner, which reads all pairs.
        order: of the two numbers of a link in ``gold``; see ``GoldOrder``.
        device: where the model computes.
        threads: of the processor.
        say: called with what happens.

    Raises:
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel, a link is wrong, or a pair is too long for the model.
        RequestError: no pair has links, or there is no such order.
    """
    wanted = member(GoldOrder, order, "gold_order")
    pairs = _pairs(src, tgt)
    lines = None if gold is None else _gold_lines(gold, len(pairs))
    bundle = _opened(model, device=device, threads=threads)
    ids = _in_ids(bundle, pairs)
    if gold is None or lines is None:
        say(f"the statistical aligner reads {counted(len(pairs), 'pair')}")
        known = _known_by_counts(bundle, ids)
        against = "a statistical aligner"
    else:
        known = _known_by_file(bundle, ids, lines, gold, wanted)
        against = gold.name
    say(f"measuring {counted(min(len(known), _MOST_MEASURED), 'pair')}")
    known = known[:_MOST_MEASURED]
    return Choice(scored_heads(bundle.model, known, batch_size=_BATCH_TOKENS), len(known), against)


def _opened(model: Path, *, device: str, threads: int) -> Bundle:
    runtime = Runtime.detect(device=device, threads=threads)
    runtime.apply()
    return load_bundle(model, device=runtime.device)


def _alignments(bundle: Bundle, pairs: Sequence[_Pair]) -> Iterator[Alignment]:
    """Yield the alignment of every pair by the heads that the model folder names."""
    ids = [pair.ids for pair in pairs]
    weights = dict(mean_of_heads(bundle.model, ids, heads=heads_of_origin(bundle), batch_size=_BATCH_TOKENS))
    for place, pair in enumerate(pairs):
        part = AlignedPart(*pair.pieces(bundle.tokenizer), weights[place][:, pair.tags : -1])
        yield joined([part], stretches_before=pair.stretches_before)


def _pairs(src: Path, tgt: Path) -> list[SentencePair]:
    return list(read_pairs(CorpusConfig(src=src, tgt=tgt), index=0, invalid_utf8=InvalidUtf8.STRICT))


def _in_ids(bundle: Bundle, pairs: Sequence[SentencePair]) -> list[_Pair]:
    """Return the ids of every pair.

    Raises:
        DataError: a side is too long for the model.
    """
    eos, most = bundle.tokenizer.specials.eos, bundle.description.model.max_positions
    sources = bundle.tokenizer.encode_source([pair.source for pair in pairs])
    targets = bundle.tokenizer.encode_target([pair.target for pair in pairs])
    for number, (source, target) in enumerate(zip(sources, targets, strict=True), start=1):
        if (longer := max(len(source), len(target))) >= most:
            raise DataError(
                f"pair {number} has a side of {counted(longer, 'piece')}, and the model has {most:,} "
                "positions, one of them for the end; shorten the pair or leave it out"
            )
    found = []
    for pair, source, target in zip(pairs, sources, targets, strict=True):
        tag, rest = bundle.tokenizer.split_tag(pair.source)
        before = int(bool(tag) and rest[:1].isspace())
        found.append(_Pair([*source, eos], target, num_tags(source, bundle.tokenizer), before))
    return found


def _known_by_counts(bundle: Bundle, pairs: Sequence[_Pair]) -> list[KnownPair]:
    words = [tuple(words_of(side) for side in pair.pieces(bundle.tokenizer)) for pair in pairs]
    links = aligned_by_counts([([word.text for word in left], [word.text for word in right]) for left, right in words])
    return [
        KnownPair(pair.source[:-1], pair.target, _spans(left, after=pair.tags), _spans(right), found)
        for pair, (left, right), found in zip(pairs, words, links, strict=True)
    ]


def _gold_lines(gold: Path, pairs: int) -> list[str]:
    lines = [line or "" for line in read_lines(gold, invalid_utf8=InvalidUtf8.STRICT)]
    if len(lines) != pairs:
        given, needed = counted(len(lines), "line"), counted(pairs, "pair")
        raise DataError(f"{gold}: has {given} of links, and the files have {needed}; give one line for each pair")
    return lines


def _known_by_file(
    bundle: Bundle, pairs: Sequence[_Pair], lines: Sequence[str], gold: Path, order: GoldOrder
) -> list[KnownPair]:
    known = []
    for number, (pair, line) in enumerate(zip(pairs, lines, strict=True), start=1):
        pieces = pair.pieces(bundle.tokenizer)
        words = [words_of(side) for side in pieces]
        own = [pair.stretches_before + place for place in places_of(pieces[0], words[0])]
        places = own, places_of(pieces[1], words[1])
        numbers = [places[side][-1] + 1 if words[side] else 0 for side in (0, 1)]
        links = _links(line, *numbers, place=f"{gold}, line {number}", order=order)
        spans = _spans(words[0], after=pair.tags), _spans(words[1])
        known.append(KnownPair(pair.source[:-1], pair.target, *spans, links, places))
    return known


def _links(line: str, sources: int, targets: int, *, place: str, order: GoldOrder) -> list[Link]:
    links = []
    is_reversed = order is GoldOrder.TARGET_SOURCE
    words = (
        "the second source word and the first target word"
        if is_reversed
        else ("the first source word and the second target word")
    )
    for item in line.split():
        found = _LINK.fullmatch(item)
        link = None if found is None else (int(found[1]), int(found[2]))
        if link is not None and is_reversed:
            link = (link[1], link[0])
        if link is None or link[0] >= sources or link[1] >= targets:
            raise DataError(
                f"{place}: {item[:40]!r} is no link between {sources} source and "
                f"{counted(targets, 'target word')} in the order "
                f"{order}; write 0-1 for {words}"
            )
        links.append(link)
    return links


def _spans(words: Sequence[Word], *, after: int = 0) -> list[Span]:
    """Return the pieces of words that stand after so many pieces."""
    return [(after + word.start, after + word.end) for word in words]
