"""Tiny MarianMT folders with random weights, written by hand: no other library has a part in them."""

from __future__ import annotations

import functools
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor

from pellucid.config import TokenizerConfig
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer, train_tokenizer

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiouéä"]
TAGS = (">>fra<<", ">>por<<")


def sentences(seed: int, count: int = 151) -> list[str]:
    generator = random.Random(seed)
    own = ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 3))) for _ in range(97)]
    return [
        " ".join(generator.choices(own, k=generator.randint(1, 9))).capitalize() + generator.choice([".", "?", " !"])
        for _ in range(count)
    ]


def learned_tokenizer(**settings: object) -> Tokenizer:
    """Learn one of our tokenizers from a few made-up sentences."""
    pairs = [SentencePair(a, b, n, 0) for n, (a, b) in enumerate(zip(sentences(1), sentences(2), strict=True))]
    config = TokenizerConfig.model_validate({"vocab_size": "auto"} | settings)
    tokenizer = train_tokenizer(lambda: pairs, config, seed=1, threads=1)
    assert isinstance(tokenizer, Tokenizer)
    return tokenizer


@functools.cache
def segmenter(seed: int, *, size: int = 83, rule: str = "nmt_nfkc", extra: str = "") -> bytes:
    """Learn a SentencePiece model the way OPUS-MT does: with control pieces, and with characters rewritten."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text + extra for text in sentences(seed)]),
        model_writer=model,
        vocab_size=size,
        normalization_rule_name=rule,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


def number_pieces(*models: bytes, tags: tuple[str, ...] = ()) -> dict[str, int]:
    """Number the pieces as Marian does; some that a segmenter knows are missing, as in real models."""
    ordered = dict.fromkeys(["</s>", "<unk>", *tags])
    for model in models:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        own = [processor.id_to_piece(i) for i in range(3, len(processor))]
        ordered |= dict.fromkeys(own[:-5])
    return {piece: number for number, piece in enumerate([*ordered, "<pad>"])}


def settings_of(source: dict[str, int], target: dict[str, int], **changes: object) -> dict[str, object]:
    return {
        "model_type": "marian",
        "vocab_size": len(source),
        "decoder_vocab_size": len(target),
        "d_model": 22,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 11,
        "decoder_attention_heads": 11,
        "encoder_ffn_dim": 29,
        "decoder_ffn_dim": 29,
        "max_position_embeddings": 61,
        "activation_function": "swish",
        "scale_embedding": True,
        "pad_token_id": source["<pad>"],
        "bos_token_id": 0,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
        "decoder_start_token_id": source["<pad>"],
        "share_encoder_decoder_embeddings": source is target,
    } | changes


def random_tensors(settings: dict[str, object], *, seed: int = 3, zero_padding: bool = True) -> dict[str, Tensor]:
    """Draw every tensor of the format; the names are those of the published format, written out once more."""
    generator = torch.Generator().manual_seed(seed)
    width, inner, vocab = (int(str(settings[name])) for name in ("d_model", "encoder_ffn_dim", "vocab_size"))
    target_vocab = int(str(settings["decoder_vocab_size"]))
    shapes: dict[str, tuple[int, ...]] = {"final_logits_bias": (1, target_vocab)}
    if settings["share_encoder_decoder_embeddings"]:
        shapes["model.shared.weight"] = (vocab, width)
    else:
        shapes["model.encoder.embed_tokens.weight"] = (vocab, width)
        shapes["model.decoder.embed_tokens.weight"] = (target_vocab, width)
    if settings.get("tie_word_embeddings") is False:
        shapes["lm_head.weight"] = (target_vocab, width)
    for stack in ("encoder", "decoder"):
        for layer in range(int(str(settings[f"{stack}_layers"]))):
            for name, shape in _layer(stack, width, inner):
                shapes[f"model.{stack}.layers.{layer}.{name}"] = shape
    tensors = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        if "layer_norm.weight" in name:
            tensor += 1
        if zero_padding and ("shared" in name or "embed_tokens" in name):
            tensor[int(str(settings["pad_token_id"]))] = 0
    return tensors


def _layer(stack: str, width: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for attention in ("self_attn", "encoder_attn")[: 1 if stack == "encoder" else 2]:
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{attention}.{name}.weight", (width, width)
            yield f"{attention}.{name}.bias", (width,)
        yield f"{attention}_layer_norm.weight", (width,)
        yield f"{attention}_layer_norm.bias", (width,)
    yield from (("fc1.weight", (inner, width)), ("fc1.bias", (inner,)))
    yield from (("fc2.weight", (width, inner)), ("fc2.bias", (width,)))
    yield from (("final_layer_norm.weight", (width,)), ("final_layer_norm.bias", (width,)))


def make_folder(
    folder: Path,
    *,
    tags: tuple[str, ...] = (),
    separate: bool = False,
    joint_segmenter: bool = False,
    zero_padding: bool = True,
    rule: str = "nmt_nfkc",
    **changes: object,
) -> Path:
    """Write a folder. One vocabulary of two segmenters, as in OPUS-MT, if nothing else is asked for."""
    folder.mkdir(parents=True)
    models = [segmenter(1, rule=rule, extra=" wz")]
    models.append(models[0] if joint_segmenter else segmenter(2, size=79, rule=rule, extra=" 中q"))
    source = target = number_pieces(*models, tags=tags)
    if separate:  # of unequal sizes; one number must pad both
        source, target = number_pieces(models[0], tags=tags), number_pieces(models[1])
        pad = min(len(source), len(target)) - 1
        source, target = (_with_padding_at(pad, vocabulary) for vocabulary in (source, target))
    settings = settings_of(source, target, **changes)
    tensors = random_tensors(settings, zero_padding=zero_padding)
    words = {"source_lang": "eng", "target_lang": "fra", "separate_vocabs": separate}
    tables = {"config": settings, "vocab": source, "tokenizer_config": words}
    tables |= {"target_vocab": target} if separate else {}
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    for name, model in zip(("source.spm", "target.spm"), models, strict=True):
        (folder / name).write_bytes(model)
    save_file(tensors, folder / "model.safetensors")
    return folder


def _with_padding_at(pad: int, vocabulary: dict[str, int]) -> dict[str, int]:
    ordered = [piece for piece in vocabulary if piece != "<pad>"]
    return {piece: number for number, piece in enumerate([*ordered[:pad], "<pad>", *ordered[pad:]])}


def change_settings(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    table = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in table.items() if value is not ...}), encoding="utf-8")
