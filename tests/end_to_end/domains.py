"""Two domains of the embedded corpus: statements, which a first model learns, and questions, which come later."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import sentencepiece

from pellucid.sample import SamplePair, build_corpus

DOMAINS = {
    "statements": frozenset(("past_deed", "past_not", "future_deed", "habit", "no_habit", "modal")),
    "questions": frozenset(("did", "does", "will", "can_you", "where_did", "why_did")),
}
"""Templates of the same deeds, people and things: few enough to be learnt in a minute."""


def write_domains(folder: Path, *, seed: int = 1) -> None:
    """Write {statements,questions}.{train,valid,test}.{en,fr}."""
    corpus = build_corpus(seed=seed, train_size=24_000, valid_size=600, test_size=900)
    for split, most in (("train", 24_000), ("valid", 60), ("test", 120)):
        pairs: tuple[SamplePair, ...] = getattr(corpus, split)
        for name, templates in DOMAINS.items():
            kept = [pair for pair in pairs if pair.template in templates][:most]
            for side, lines in (("en", [p.source for p in kept]), ("fr", [p.target for p in kept])):
                (folder / f"{name}.{split}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def library() -> Any:
    """Return ``transformers``, without its advice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
    transformers.utils.logging.disable_progress_bar()
    return transformers


def make_marian(folder: Path, texts: Path, *, d_model: int = 64, layers: int = 2, positions: int = 128) -> None:
    """Write a new model as ``transformers`` makes and saves it, with pieces learnt from {texts}/*.train.*."""
    folder.mkdir()
    models = []
    for side, name in (("en", "source.spm"), ("fr", "target.spm")):
        lines = [line for path in sorted(texts.glob(f"*.train.{side}")) for line in path.read_text("utf-8").split("\n")]
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line for line in lines if line),
            model_writer=model,
            vocab_size=400,
            hard_vocab_limit=False,
            character_coverage=1.0,
            minloglevel=2,
            num_threads=1,
        )
        (folder / name).write_bytes(model.getvalue())
        models.append(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))
    pieces = dict.fromkeys(["</s>", "<unk>"])
    for processor in models:
        pieces |= dict.fromkeys(processor.id_to_piece(i) for i in range(3, len(processor)))
    ids = {piece: number for number, piece in enumerate([*pieces, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    words = {"source_lang": "en", "target_lang": "fr"}
    (folder / "tokenizer_config.json").write_text(json.dumps(words), encoding="utf-8")
    transformers = library()
    config = transformers.MarianConfig(
        vocab_size=len(ids),
        d_model=d_model,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=4 * d_model,
        decoder_ffn_dim=4 * d_model,
        max_position_embeddings=positions,
        activation_function="swish",
        scale_embedding=True,
        dropout=0.0,
        init_std=d_model**-0.5,  # the default is for wide models; with it, this one learns little in a thousand steps
        pad_token_id=ids["<pad>"],
        decoder_start_token_id=ids["<pad>"],
        eos_token_id=0,
        forced_eos_token_id=0,
        bos_token_id=0,
    )
    transformers.set_seed(1)
    transformers.MarianMTModel(config).save_pretrained(folder)


def translated_by_transformers(folder: Path, texts: list[str]) -> list[str]:
    """Translate by greedy search with nothing but ``transformers``."""
    import torch

    transformers = library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends sacremoses
        tokenizer = transformers.MarianTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.MarianMTModel.from_pretrained(folder, local_files_only=True).eval()
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        rows = model.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=60)
    return [str(text) for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]
