"""JoeyNMT's side of the race, run by the Python of its own environment.

Its training loop runs as it is; a wrapper around ``TrainManager._train_step`` marks the stopwatch
at the start of every step with the tokens of the step before. Started by ``../train_cpu.py``, and by
``../time_to_score.py``, for which it also translates a test text with the last weights.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import joeynmt.training
from joeynmt.config import load_config
from joeynmt.data import load_data
from joeynmt.helpers import make_model_dir
from joeynmt.helpers_for_ddp import get_logger
from joeynmt.prediction import predict
from joeynmt.transformer_layers import MultiHeadedAttention, PositionwiseFeedForward
from stopwatch import CLOCKS, Stopwatch


def time_every_step(stopwatch: Stopwatch) -> None:
    """Wrap the step of JoeyNMT's trainer; the first call only starts the clock."""
    step = joeynmt.training.TrainManager._train_step
    before = {"target": 0, "padded": 0}

    @functools.wraps(step)
    def timed(manager: Any, batch: Any) -> Any:
        stopwatch.mark(before["target"], before["padded"])
        before["target"] = int(batch.ntokens)
        before["padded"] = batch.nseqs * max(batch.src.size(1), batch.trg.size(1))
        return step(manager, batch)

    joeynmt.training.TrainManager._train_step = timed


def leave_the_papers_dropout(model: torch.nn.Module) -> int:
    """Turn off dropout on attention weights and inside the feed-forward layer; return how many places.

    JoeyNMT has it in both, without a setting; the paper (section 5.4) and the other side do not.
    """
    places = 0
    for module in model.modules():
        inner = []
        if isinstance(module, MultiHeadedAttention):
            inner = [module.dropout]
        elif isinstance(module, PositionwiseFeedForward):
            inner = [layer for layer in module.pwff_layer if isinstance(layer, torch.nn.Dropout)][:1]
        for layer in inner:
            layer.p = 0.0
            places += 1
    return places


def tokens_of(data: Any) -> dict[str, int]:
    """Count the pieces of a dataset on each side, end of sentence included, to compare them with the other side's."""
    sides = {"source": data.src_lang, "target": data.trg_lang}
    return {side: sum(len(row) + 1 for row in data.get_list(lang, tokenized=True)) for side, lang in sides.items()}


def translate(manager: Any, data: Any, output: Path, *, beam_size: int, alpha: float) -> None:
    """Translate a dataset with the weights of the trainer and JoeyNMT's own search; write a sentence a line."""
    settings = manager.dev_cfg._replace(beam_size=beam_size, beam_alpha=alpha, eval_metrics=[])
    autocast = {"device_type": "cpu", "enabled": False}
    _, _, found, *_ = predict(manager.model, data, manager.device, 0, args=settings, autocast=autocast)
    output.write_text("".join(f"{' '.join(line.splitlines())}\n" for line in found), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--warmup-steps", type=int, required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dropout", choices=["paper", "own"], required=True)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--test", help="text to translate after training, without the suffixes of the languages")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--alphas", type=float, nargs="+", default=[], help="length penalties, a translation for each")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    stopwatch = Stopwatch(
        warmup_steps=options.warmup_steps, steps=options.steps, seconds=options.seconds, clock=CLOCKS[options.clock]
    )
    time_every_step(stopwatch)
    facts: dict[str, object] = {}

    manager = joeynmt.training.TrainManager
    run_loop = manager.train_and_validate

    def with_facts(self: Any, *args: Any, **kwargs: Any) -> Any:
        facts["parameters"] = sum(p.numel() for p in self.model.parameters())
        facts["places without dropout"] = leave_the_papers_dropout(self.model) if options.dropout == "paper" else 0
        facts["train pairs"] = len(kwargs["train_data"])
        facts["validation tokens"] = tokens_of(kwargs["valid_data"])
        run_loop(self, *args, **kwargs)
        facts["epoch"] = self.stats.epochs
        if options.test:
            *_, data = load_data(cfg["data"] | {"test": options.test}, datasets=["test"])
            for alpha in options.alphas:
                output = options.result.with_suffix(f".alpha{alpha:g}.txt")
                translate(self, data, output, beam_size=options.beam_size, alpha=alpha)

    manager.train_and_validate = with_facts
    cfg = load_config(options.config)
    make_model_dir(Path(cfg["model_dir"]), overwrite=True)
    get_logger("", log_file=str(Path(cfg["model_dir"]) / "train.log"))
    joeynmt.training.train(rank=0, world_size=None, cfg=cfg, skip_test=True)

    names = ("joeynmt", "torch", "sentencepiece", "numpy")
    facts["versions"] = {name: importlib.metadata.version(name) for name in names}
    facts["python"] = platform.python_version()
    facts["threads"] = torch.get_num_threads()
    facts["precision"] = "fp32"
    facts["nice"] = os.nice(0)
    stopwatch.write(options.result, facts)


if __name__ == "__main__":
    main()
