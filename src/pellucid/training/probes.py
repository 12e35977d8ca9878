"""Record how the model learns: probes of its predictions, and snapshots of its weights.

Both use the averaged weights, as validation and the saved model do.

``probes/index.json`` lists up to eight short sentence pairs of the validation set. ``probes/step-*.npz``
has one row per target position of all pairs together: ``pair`` (its number), ``target_ids``,
``target_log_probability``, ``top_ids`` and ``top_log_probabilities`` ``[positions, 50]`` best first,
``log_sum_exp`` of the logits. ``snapshots/step-*.safetensors`` holds only the weights.
Read ``checkpoints.py`` next.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from safetensors.torch import save

from pellucid.durable import DISK, Disk, refuse_full_disk
from pellucid.text.batching import make_batch
from pellucid.training.batches import TensorBatch, to_tensors
from pellucid.training.loss import batch_logits

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.text.store import TokenStore
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["SNAPSHOT_STEPS", "Probes", "choose_probe_rows", "write_snapshot"]

NUM_PROBES: Final = 8
PROBE_TOKENS_BELOW: Final = 20
NUM_TOP: Final = 50

SNAPSHOT_STEPS: Final = (0, *(digit * 10**power for power in range(1, 6) for digit in (1, 2, 5)))
"""The steps whose weights are never removed: 0, 10, 20, 50, 100 ... 500,000; sixteen in total."""


def choose_probe_rows(store: TokenStore) -> np.ndarray:
    """Return the first eight rows, or fewer, with fewer than 20 tokens on both sides."""
    short = np.maximum(np.asarray(store.source_lengths), np.asarray(store.target_lengths)) < PROBE_TOKENS_BELOW
    return np.flatnonzero(short)[:NUM_PROBES]


@dataclass(frozen=True)
class Probes:
    """The chosen sentence pairs, and the folder of their probes."""

    folder: Path
    batch: TensorBatch | None
    disk: Disk = DISK

    @staticmethod
    def prepare(
        folder: Path, *, store: TokenStore, tokenizer: Tokenizer, model: Transformer, disk: Disk = DISK
    ) -> Probes:
        """Choose the pairs and write ``index.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = choose_probe_rows(store)
        pairs = []
        for row in rows.tolist():
            source, target = store.source(row).tolist(), store.target(row).tolist()
            pairs.append(
                {
                    "row": row,
                    "line": int(store.line[row]),
                    "source_ids": source,
                    "target_ids": target,
                    "source_pieces": tokenizer.source_pieces(source),
                    "target_pieces": tokenizer.target_pieces(target),
                }
            )
        index = {"format_version": 1, "weights": "averaged", "pairs": pairs}
        content = json.dumps(index, ensure_ascii=False, indent=1).encode()
        path = folder / "index.json"
        if not path.is_file() or path.read_bytes() != content:
            disk.write_replacing(path, content)
        if not len(rows):
            return Probes(folder, None, disk)
        device = next(model.parameters()).device
        batch = make_batch(store, rows, specials=model.config.specials, start_id=model.start_id)
        return Probes(folder, to_tensors(batch, device=device), disk)

    def write(self, model: Transformer, *, step: int) -> None:
        """Write the probe of a step, in float32; ``model`` is in evaluation mode."""
        if self.batch is None:
            return
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **_measure(model, self.batch))
        self.disk.write_replacing(self.folder / f"step-{step:08d}.npz", buffer.getvalue())


@torch.no_grad()
def _measure(model: Transformer, batch: TensorBatch) -> dict[str, np.ndarray]:
    logits = batch_logits(model, batch).float()
    log_sum_exp = logits.logsumexp(-1, keepdim=True)
    log_probabilities = logits - log_sum_exp
    top = log_probabilities.topk(min(NUM_TOP, logits.shape[-1]), dim=-1)
    target_length = batch.target_input_ids.shape[1]
    arrays = {
        "pair": torch.div(batch.target_positions, target_length, rounding_mode="floor").to(torch.int32),
        "target_ids": batch.target_ids.to(torch.int32),
        "target_log_probability": log_probabilities.gather(1, batch.target_ids[:, None])[:, 0],
        "top_ids": top.indices.to(torch.int32),
        "top_log_probabilities": top.values,
        "log_sum_exp": log_sum_exp[:, 0],
    }
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}


def write_snapshot(folder: Path, model: Transformer, *, step: int, disk: Disk = DISK) -> None:
    """Save the weights of a step, which are never removed.

    Raises:
        StoppedError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = save(state, metadata={"step": str(step)})
    with refuse_full_disk(folder, needed_bytes=len(content)):
        disk.write_replacing(folder / f"step-{step:08d}.safetensors", content)
