"""Tiny models of Marian's with random weights, written by hand from its published layout.

The names and shapes are those that Marian's transformer.h gives its parameters, and that the converters of
``transformers`` and CTranslate2 read; no model of Marian's own making is in this repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from .kit import number_pieces, segmenter

Array = NDArray[np.float32]
OPTIONS = {
    "bert-train-type-embeddings": "true",
    "dec-cell": "gru",
    "dec-cell-base-depth": "2",
    "dec-cell-high-depth": "1",
    "dec-depth": "1",
    "dim-emb": "22",
    "dim-rnn": "1024",
    "enc-cell": "gru",
    "enc-cell-depth": "1",
    "enc-depth": "2",
    "enc-type": "bidirectional",
    "input-types": "\n  []",
    "layer-normalization": "false",
    "right-left": "false",
    "skip": "false",
    "tied-embeddings": "false",
    "tied-embeddings-all": "true",
    "tied-embeddings-src": "false",
    "transformer-aan-activation": "swish",
    "transformer-aan-depth": "2",
    "transformer-aan-nogate": "false",
    "transformer-decoder-autoreg": "self-attention",
    "transformer-dim-aan": "2048",
    "transformer-dim-ffn": "29",
    "transformer-ffn-activation": "swish",
    "transformer-ffn-depth": "2",
    "transformer-guided-alignment-layer": "last",
    "transformer-heads": "11",
    "transformer-no-projection": "false",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-preprocess": '""',
    "transformer-tied-layers": "\n  []",
    "transformer-train-position-embeddings": "false",
    "type": "transformer",
    "ulr": "false",
    "ulr-dim-emb": "0",
    "ulr-trainable-transformation": "false",
    "version": "v1.12.42 random weights",
}
PRE_NORM = {
    "transformer-preprocess": "n",
    "transformer-postprocess": "da",
    "transformer-postprocess-top": "n",
}


def spm_vocabulary(seed: int = 1, *, size: int = 89) -> bytes:
    """Learn a SentencePiece model with the ids that Marian gives: end of sentence 0, unknown 1."""
    import io

    from .kit import sentences

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(seed)),
        model_writer=model,
        vocab_size=size,
        bos_id=-1,
        eos_id=0,
        unk_id=1,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


def arrays_of(options: dict[str, str], sizes: tuple[int, int], *, seed: int = 3, bias: bool = True) -> dict[str, Array]:
    """Draw every array that Marian would write for these options, in its shapes: a row times a matrix."""
    generator = np.random.default_rng(seed)
    shapes = dict(_shapes(options, sizes))
    if not bias:
        del shapes["decoder_ff_logit_out_b"]
    arrays = {name: 0.3 * generator.standard_normal(shape) for name, shape in shapes.items()}
    for name, array in arrays.items():
        if "ln_scale" in name:
            array += 1
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _shapes(options: dict[str, str], sizes: tuple[int, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = int(options["dim-emb"]), int(options["transformer-dim-ffn"])
    is_all, is_src, is_tied = (options[f"tied-embeddings{end}"] == "true" for end in ("-all", "-src", ""))
    end = "_pre" if options["transformer-preprocess"] == "n" else ""
    if is_all or is_src:
        yield "Wemb", (sizes[0], width)
    else:
        yield from (("encoder_Wemb", (sizes[0], width)), ("decoder_Wemb", (sizes[1], width)))
    if not (is_all or is_tied):
        yield "decoder_ff_logit_out_W", (width, sizes[1])
    yield "decoder_ff_logit_out_b", (1, sizes[1])
    for stack, depth in (("encoder", "enc-depth"), ("decoder", "dec-depth")):
        for layer in range(1, int(options[depth]) + 1):
            for attention in ("self", "context")[: 1 if stack == "encoder" else 2]:
                at = f"{stack}_l{layer}_{attention}"
                for letter in "qkvo":
                    yield from ((f"{at}_W{letter}", (width, width)), (f"{at}_b{letter}", (1, width)))
                yield from ((f"{at}_Wo_ln_scale{end}", (1, width)), (f"{at}_Wo_ln_bias{end}", (1, width)))
            at = f"{stack}_l{layer}_ffn"
            yield from ((f"{at}_W1", (width, inner)), (f"{at}_b1", (1, inner)))
            yield from ((f"{at}_W2", (inner, width)), (f"{at}_b2", (1, width)))
            yield from ((f"{at}_ffn_ln_scale{end}", (1, width)), (f"{at}_ffn_ln_bias{end}", (1, width)))
        if end:
            yield from ((f"{stack}_top_ln_scale", (1, width)), (f"{stack}_top_ln_bias", (1, width)))


def options_text(options: dict[str, str], sizes: tuple[int, int]) -> str:
    lines = [f"{name}: {value}" for name, value in options.items()]
    return "\n".join([*lines, "dim-vocabs:", *(f"  - {size}" for size in sizes)])


def yaml_vocabulary(pieces: dict[str, int]) -> str:
    """Write a vocabulary as yaml-cpp does: what is plain without quotation marks, the rest with them."""
    lines = []
    for piece, number in pieces.items():
        plain = piece.isalnum() and piece.isascii()
        escaped = piece.replace("\\", "\\\\").replace('"', '\\"').replace("\u00e9", "\\xe9")
        lines.append(f"{piece}: {number}\n" if plain else f'"{escaped}": {number}\n')
    return "".join(lines)


def write_npz(path: Path, options: dict[str, str], sizes: tuple[int, int], arrays: dict[str, Array]) -> None:
    text = options_text(options, sizes).encode() + b"\0"
    contents: dict[str, NDArray[np.generic]] = {**arrays, "special:model.yml": np.frombuffer(text, dtype=np.int8)}
    np.savez(path, **contents)  # type: ignore[arg-type]


def make_npz_folder(
    folder: Path,
    *,
    kind: str = "yml",
    tags: tuple[str, ...] = (),
    separate: bool = False,
    bias: bool = True,
    dtype: str = "float32",
    **changes: str,
) -> Path:
    """Write a folder as OPUS-MT packs one (``yml``), or as Marian with raw text does (``spm``)."""
    folder.mkdir(parents=True)
    options = OPTIONS | {name.replace("_", "-"): value for name, value in changes.items()}
    if kind == "spm":
        models = [spm_vocabulary(1), spm_vocabulary(2, size=97) if separate else spm_vocabulary(1)]
        for name, model in zip(("vocab.src.spm", "vocab.trg.spm"), models, strict=True):
            (folder / name).write_bytes(model)
        sizes = tuple(len(sentencepiece.SentencePieceProcessor(model_proto=model)) for model in models)
    else:
        models = [segmenter(1, extra=" wz"), segmenter(2, size=79, extra=" 中q")]
        tables = [number_pieces(models[0], tags=tags), number_pieces(models[1])] if separate else []
        tables = tables or [number_pieces(*models, tags=tags)] * 2
        tables = [{piece: number for piece, number in table.items() if piece != "<pad>"} for table in tables]
        names = ["opus.src.vocab.yml", "opus.trg.vocab.yml"] if separate else ["opus.vocab.yml"] * 2
        for name, table in zip(names, tables, strict=True):
            (folder / name).write_text(yaml_vocabulary(table), encoding="utf-8")
        for name, model in zip(("source.spm", "target.spm"), models, strict=True):
            (folder / name).write_bytes(model)
        sizes = len(tables[0]), len(tables[1])
        words = ["models:", "  - model.npz", "vocabs:", *(f"  - {name}" for name in names), "beam-size: 6"]
        (folder / "decoder.yml").write_text("\n".join([*words, "normalize: 0.6", ""]))
    arrays = arrays_of(options, (sizes[0], sizes[1]), bias=bias)
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    write_npz(folder / "model.npz", options, (sizes[0], sizes[1]), arrays)
    return folder
