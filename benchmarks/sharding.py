r"""Compare what a process holds, and how long a step takes, with whole copies of a model and with FSDP2.

    torchrun --nproc-per-node 2 benchmarks/sharding.py --presets base big
    torchrun --nproc-per-node 2 benchmarks/sharding.py --device cuda --batch 64

Whole copies: every process holds parameters, gradients and Adam's two moments, and gradients are added in buckets while
backward goes on, as ``pellucid train`` does. Shards: ``fully_shard`` for each layer and the rest, as its documentation
shows. Both take turns with the same random batches; seconds are those of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from pellucid.config import PRESETS, ModelConfig, SpecialIds
from pellucid.model.transformer import Transformer
from pellucid.training.processes.ranks import ProcessGroup

WAYS = ("whole copies", "shards (FSDP2)")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["base", "big"], choices=sorted(PRESETS))
    parser.add_argument("--vocabulary", type=int, default=32000, help="pieces, joint")
    parser.add_argument("--batch", type=int, default=8, help="sentences of each process")
    parser.add_argument("--length", type=int, default=24, help="pieces of a sentence")
    parser.add_argument("--rounds", type=int, default=4, help="the first is not counted")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if options.device == "cuda" else "gloo")
    try:
        if torch.distributed.get_rank() == 0:
            print(
                "| shape | parameters | way | MB per process | seconds | processor seconds |\n|---|---|---|---|---|---|"
            )
        for preset in options.presets:
            measure(preset, options)
    finally:
        torch.distributed.destroy_process_group()


def measure(preset: str, options: argparse.Namespace) -> None:
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    held = dict.fromkeys(WAYS, 0)
    count = 0
    steps: dict[str, tuple[Callable[[], None], Callable[[], int]]] = {}
    for way, make in zip(WAYS, (whole_copies, shards), strict=True):
        model = made_model(preset, options)
        count = sum(parameter.numel() for parameter in model.parameters())
        steps[way] = make(model, options)
    for number in range(options.rounds):
        for way, (step, held_bytes) in steps.items():
            torch.distributed.barrier()
            clock, processor = time.perf_counter(), time.process_time()
            step()
            if options.device == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - clock, time.process_time() - processor
            found[way] += [seconds] * (number > 0)
            held[way] = held_bytes()
    if torch.distributed.get_rank() != 0:
        return
    for way in WAYS:
        clock, processor = (statistics.median(column) for column in zip(*found[way], strict=True))
        print(f"| {preset} | {count / 1e6:.0f} M | {way} | {held[way] / 1e6:,.0f} | {clock:.2f} | {processor:.2f} |")
    ratios = [b[0] / a[0] for a, b in zip(*found.values(), strict=True)]
    print(f"{preset}: a step with shards takes {statistics.median(ratios):.2f} times as long", flush=True)


def made_model(preset: str, options: argparse.Namespace) -> Transformer:
    sizes = {"source_vocab_size": options.vocabulary, "target_vocab_size": options.vocabulary}
    torch.manual_seed(1)
    shape = ModelConfig.model_validate(PRESETS[preset] | sizes | {"specials": SpecialIds()})
    return Transformer(shape).to(options.device).train()


def whole_copies(model: Transformer, options: argparse.Namespace) -> tuple[Callable[[], None], Callable[[], int]]:
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters)
    ranks = ProcessGroup()

    def step() -> None:
        exchange = ranks.exchange(parameters)
        loss = loss_of(model, options)
        with exchange.overlapping():
            loss.backward()
        exchange.finish(torch.zeros(2, device=options.device))
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)

    return step, lambda: bytes_of(parameters, optimiser)


def shards(model: Transformer, options: argparse.Namespace) -> tuple[Callable[[], None], Callable[[], int]]:
    for layer in layers_of(model):
        fully_shard(layer)
    fully_shard(model)
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters)

    def step() -> None:
        loss_of(model, options).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)

    return step, lambda: bytes_of(parameters, optimiser)


def layers_of(model: Transformer) -> Iterator[nn.Module]:
    """Yield the layers of encoder and decoder."""
    for stack in (model.encoder, model.decoder):
        yield from stack.layers


def loss_of(model: Transformer, options: argparse.Namespace) -> Tensor:
    size = (options.batch, options.length)
    source, target = (torch.randint(4, options.vocabulary, size, device=options.device) for _ in range(2))
    logits = model(source, target)
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def bytes_of(parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer) -> int:
    """Return the bytes of parameters, gradients and the optimiser's state in this process."""
    tensors = [tensor for parameter in parameters for tensor in (parameter, parameter.grad) if tensor is not None]
    tensors += [value for state in optimiser.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(local.numel() * local.element_size() for local in map(local_part, tensors))


def local_part(tensor: Tensor) -> Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


if __name__ == "__main__":
    main()
