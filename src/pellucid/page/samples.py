"""The sample of sentences over which the values of a model of the page are averaged. Read ``answers_trace.py`` next."""

from __future__ import annotations

from pellucid.errors import RequestError
from pellucid.page.catalogue import OpenedModel, probe_pairs
from pellucid.tracing.editing.sample import Sample, embedded_sample

__all__ = ["sample_of"]


def sample_of(opened: OpenedModel) -> Sample | None:
    """Return the sample of a model: sentences of the embedded corpus, or the pairs that its run probes; None without.

    The embedded corpus serves the walkthrough model, which was trained on sentences of the same grammar, too.
    """
    if opened.is_walkthrough:
        return embedded_sample()
    if opened.run_folder is None:
        return None
    try:
        pairs = probe_pairs(opened.run_folder)
    except RequestError:
        return None  # a run without probes; the chapters that show probes report a damaged file
    tokenizer = opened.translator.tokenizer
    decode = {"source_ids": tokenizer.decode_source, "target_ids": tokenizer.decode_target}
    texts = [[decode[name]([_words(ids, tokenizer.specials.eos)])[0] for name, ids in pair.items()] for pair in pairs]
    known = [pair for pair in texts if all(text.strip() for text in pair)]
    return Sample.of(known) if known else None


def _words(ids: list[int], eos: int) -> list[int]:
    return [index for index in ids if index != eos]
