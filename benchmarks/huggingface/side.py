"""Hugging Face's side of the race: ``Seq2SeqTrainer`` with a ``MarianMTModel`` of the same shape.

The Python of its own environment runs it. It reads the ids that ``../train_cpu.py`` wrote, so it does not tokenise
in the timed steps; a callback marks the stopwatch at the end of every step.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stopwatch import Stopwatch
from transformers import (
    MarianConfig,
    MarianMTModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

PAD, END = 0, 3
FILL = {"input_ids": PAD, "attention_mask": 0, "labels": -100}  # -100 is the label that the loss leaves out


class Pairs(torch.utils.data.Dataset[dict[str, list[int]]]):
    """The pairs of the race as ids, end of sentence included."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self._sides = [(arrays[f"{side}_ids"], arrays[f"{side}_offsets"]) for side in ("source", "target")]

    def __len__(self) -> int:
        return len(self._sides[0][1]) - 1

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        source, target = ([*ids[offsets[index] : offsets[index + 1]].tolist(), END] for ids, offsets in self._sides)
        return {"input_ids": source, "attention_mask": [1] * len(source), "labels": target}


class Collator:
    """Pads a batch as ``DataCollatorForSeq2Seq`` does, and counts its tokens."""

    def __init__(self, model: MarianMTModel) -> None:
        self._model = model
        self.waiting: list[tuple[int, int]] = []
        """Target tokens and padded tokens of the batches that were made and have not been trained on."""

    def __call__(self, features: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return the tensors of a batch."""
        batch = {name: padded([f[name] for f in features], fill) for name, fill in FILL.items()}
        batch["decoder_input_ids"] = self._model.prepare_decoder_input_ids_from_labels(batch["labels"])
        longest = max(batch["input_ids"].shape[1], batch["labels"].shape[1])
        self.waiting.append((sum(len(f["labels"]) for f in features), longest * len(features)))
        return batch


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    """Return the rows as a tensor."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


class Clock(TrainerCallback):
    """Marks the stopwatch at the end of every step."""

    def __init__(self, stopwatch: Stopwatch, collator: Collator) -> None:
        self._stopwatch = stopwatch
        self._collator = collator

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Mark the step."""
        self._stopwatch.mark(*self._collator.waiting.pop(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("pairs", type=Path)
    add("run", type=Path)
    add("result", type=Path)
    add("--warmup-steps", type=int, required=True)
    add("--steps", type=int)
    add("--seconds", type=float)
    add("--threads", type=int, required=True)
    add("--precision", choices=["fp32", "bf16"], required=True)
    add("--batch-size", type=int, required=True, help="padded tokens of the longer side")
    add("--vocabulary", type=int, required=True)
    add("--layers", type=int, required=True)
    add("--width", type=int, required=True)
    add("--heads", type=int, required=True)
    add("--max-positions", type=int, required=True)
    add("--seed", type=int, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    pairs = Pairs(options.pairs)
    model = MarianMTModel(model_config(options))
    collator = Collator(model)
    stopwatch = Stopwatch(warmup_steps=options.warmup_steps, steps=options.steps, seconds=options.seconds)
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments(options, pairs),
        train_dataset=pairs,
        data_collator=collator,
        callbacks=[Clock(stopwatch, collator)],
    )
    try:
        trainer.train()
    except KeyboardInterrupt:
        if not stopwatch.is_over:
            raise
    names = ("transformers", "accelerate", "torch", "numpy")
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train pairs": len(pairs),
        "versions": {name: importlib.metadata.version(name) for name in names},
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "precision": options.precision,
        "nice": os.nice(0),
    }
    stopwatch.write(options.result, facts)


def model_config(options: argparse.Namespace) -> MarianConfig:
    """Return the shape of the race: post-norm, ReLU, one table, dropout 0.1 where the paper has it."""
    return MarianConfig(
        vocab_size=options.vocabulary,
        d_model=options.width,
        encoder_layers=options.layers,
        decoder_layers=options.layers,
        encoder_attention_heads=options.heads,
        decoder_attention_heads=options.heads,
        encoder_ffn_dim=4 * options.width,
        decoder_ffn_dim=4 * options.width,
        activation_function="relu",
        dropout=0.1,
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
        max_position_embeddings=options.max_positions,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=PAD,
        forced_eos_token_id=None,
    )


def arguments(options: argparse.Namespace, pairs: Pairs) -> Seq2SeqTrainingArguments:
    """Return the trainer's settings: sentences of similar length, and batches about as large as those of the others."""
    sample = range(0, len(pairs), max(1, len(pairs) // 2000))
    lengths = [max(len(pairs[i]["input_ids"]), len(pairs[i]["labels"])) for i in sample]
    return Seq2SeqTrainingArguments(
        output_dir=str(options.run),
        use_cpu=True,
        bf16=options.precision == "bf16",
        per_device_train_batch_size=max(1, round(options.batch_size / (sum(lengths) / len(lengths)))),
        train_sampling_strategy="group_by_length",
        num_train_epochs=1000,
        learning_rate=1e-3,
        lr_scheduler_type="inverse_sqrt",
        warmup_steps=400,
        adam_beta2=0.98,
        adam_epsilon=1e-9,
        max_grad_norm=1.0,
        label_smoothing_factor=0.1,
        logging_steps=10,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
