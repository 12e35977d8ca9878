"""One side of the translation race: an engine in a process of its own, which answers one JSON record a line.

``translate_cpu.py`` starts it. Texts go in and texts come out, tokenisation included, as users of each engine call it;
``{"pieces": ...}`` instead of texts skips the tokeniser, for models with random weights.

    python translation_side.py pellucid '{"model": ..., "threads": 2, "engine": "native", "precision": "int8"}'
    {"texts": [...], "beam_size": 5}  ->  {"seconds": 1.2, "tokens": 15664, "texts": [...], "mebibytes": 88.1}
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Options = dict[str, Any]


class Pellucid:
    """pellucid with one of its engines."""

    def __init__(self, options: Options) -> None:
        import pellucid

        self.translator = pellucid.load(
            options["model"], engine=options["engine"], precision=options["precision"], threads=options["threads"]
        )
        self.ids = {piece: number for number, piece in enumerate(self.translator.tokenizer.source.vocabulary.pieces)}

    def translate(self, texts: Sequence[str], beam_size: int) -> tuple[list[str], int]:
        """Return the translations and how many tokens they have, the end of sentence included."""
        found = self.translator.translate(texts, beam_size=beam_size)
        return [one.text for one in found], sum(len(one.alternatives[0].ids) for one in found)

    def search(self, pieces: Sequence[Sequence[str]], beam_size: int, length: int) -> int:
        """Translate pieces to a fixed length and return how many tokens that was."""
        from pellucid.translation.constraints import configured, constraints_for
        from pellucid.translation.engines.engine import SearchRequest
        from pellucid.translation.units import Unit

        translator = self.translator
        end = translator.tokenizer.specials.eos
        config = configured(  # as `translate` does, which checks the settings of a call once
            translator.config,
            {
                "beam_size": beam_size,
                "min_length": length - 1,
                "max_length_factor": 1e-9,
                "max_length_constant": length,
            },
        )
        units = [Unit(place, 0, (*(self.ids[piece] for piece in row), end)) for place, row in enumerate(pieces)]
        request = SearchRequest(units, config, constraints_for(config, translator.tokenizer), key_of=tuple)
        return sum(len(found[0].ids) for _, found in translator._engine_for(request).search(request))  # type: ignore[union-attr]


class CTranslate2:
    """CTranslate2, called as its own documentation does: SentencePiece, ``translate_batch``, SentencePiece."""

    def __init__(self, options: Options) -> None:
        import sentencepiece

        folder = Path(options["model"])
        self.translator = importlib.import_module("ctranslate2").Translator(
            str(folder),
            compute_type=options["compute_type"],
            inter_threads=options["inter"],
            intra_threads=options["intra"],
        )
        self.batch = options["batch"]
        self.source, self.target = (
            sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{side}.spm"))
            for side in ("source", "target")
        )

    def translate(self, texts: Sequence[str], beam_size: int) -> tuple[list[str], int]:
        """Return the translations and how many tokens they have, the end of sentence included."""
        pieces = self.source.encode(list(texts), out_type=str)
        found = self._search(pieces, beam_size)
        best = [result.hypotheses[0] for result in found]
        return self.target.decode(best), sum(len(one) + 1 for one in best)

    def search(self, pieces: Sequence[Sequence[str]], beam_size: int, length: int) -> int:
        """Translate pieces to a fixed length and return how many tokens that was."""
        found = self._search(pieces, beam_size, min_decoding_length=length, max_decoding_length=length)
        return sum(len(result.hypotheses[0]) for result in found)

    def _search(self, pieces: Sequence[Sequence[str]], beam_size: int, **settings: Any) -> Any:
        return self.translator.translate_batch(
            pieces, beam_size=beam_size, max_batch_size=self.batch, batch_type="tokens", **settings
        )


class HuggingFace:
    """``transformers``' ``generate`` in float32, with sentences sorted by length."""

    def __init__(self, options: Options) -> None:
        import torch
        import transformers

        torch.set_num_threads(options["threads"])
        self.torch, self.batch = torch, options["batch"]
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(options["model"])
        self.model = transformers.AutoModelForSeq2SeqLM.from_pretrained(options["model"]).eval()

    def translate(self, texts: Sequence[str], beam_size: int) -> tuple[list[str], int]:
        """Return the translations and how many tokens they have, the end of sentence included."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        found, tokens = [""] * len(texts), 0
        for first in range(0, len(order), self.batch):
            places = order[first : first + self.batch]
            batch = self.tokenizer([texts[place] for place in places], return_tensors="pt", padding=True)
            with self.torch.inference_mode():
                rows = self.model.generate(**batch, num_beams=beam_size, do_sample=False)
            tokens += int((rows[:, 1:] != self.model.config.pad_token_id).sum())
            for place, text in zip(places, self.tokenizer.batch_decode(rows, skip_special_tokens=True), strict=True):
                found[place] = text
        return found, tokens


SIDES: dict[str, Callable[[Options], Any]] = {
    "pellucid": Pellucid,
    "ctranslate2": CTranslate2,
    "huggingface": HuggingFace,
}


def resident_mebibytes() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def answer(side: Any, request: Options) -> dict[str, Any]:
    """Run one request; ``"alone"`` translates text by text and returns the seconds of each."""
    began = time.perf_counter()
    if "pieces" in request:
        tokens = side.search(request["pieces"], request["beam_size"], request["length"])
        return {"seconds": time.perf_counter() - began, "tokens": tokens, "mebibytes": resident_mebibytes()}
    if request.get("alone"):
        each = []
        for text in request["texts"]:
            began = time.perf_counter()
            side.translate([text], request["beam_size"])
            each.append(time.perf_counter() - began)
        return {"each": each, "mebibytes": resident_mebibytes()}
    texts, tokens = side.translate(request["texts"], request["beam_size"])
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "tokens": tokens, "texts": texts, "mebibytes": resident_mebibytes()}


def main() -> None:
    sink, sys.stdout = sys.stdout, sys.stderr
    side = SIDES[sys.argv[1]](json.loads(sys.argv[2]))
    for line in sys.stdin:
        sink.write(json.dumps(answer(side, json.loads(line))) + "\n")
        sink.flush()


if __name__ == "__main__":
    main()
