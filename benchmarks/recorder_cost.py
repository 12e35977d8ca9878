"""Measure the cost of an unused recorder: the model against a copy without the recorder's arguments.

    python benchmarks/recorder_cost.py MODEL [--pairs 40]

The copy is the same source without the recorder: its parameters and arguments are removed, and each call of ``visit``
is replaced by its value. Both models have copied weights, since loaded weights lie elsewhere in memory, which alone
makes a difference of one percent. They translate the same sentences alternately, in changing order; the result is the
median of the paired ratios with its interval. tests/equivalence/test_nobody_looks.py checks that their results and
their lists of operators are equal.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

import pellucid
from pellucid.model import transformer
from pellucid.model.transformer import Transformer
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.translator import Translator

ROOM = Path(pellucid.__file__).parent / "model"
BARE = "pellucid_without_recorder"
NAMES = {"recorder", "scope"}
SENTENCES = (
    "The animal didn't cross the street because it was too tired.",
    "I am a student.",
    "The tired cat drinks the milk in the large house.",
)


class TakeOut(ast.NodeTransformer):
    """Remove the recorder from a module; the result computes the same values."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Drop the parameters."""
        arguments = node.args
        assert not any(one.arg in NAMES for one in arguments.posonlyargs), node.name
        arguments.args = [one for one in arguments.args if one.arg not in NAMES]
        kept = [
            (one, default)
            for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if one.arg not in NAMES
        ]
        arguments.kwonlyargs, arguments.kw_defaults = [one for one, _ in kept], [default for _, default in kept]
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Replace a call of ``visit`` by its value, and remove the arguments of other calls."""
        if isinstance(node.func, ast.Name) and node.func.id == "visit":
            return self.visit(node.args[2])  # type: ignore[no-any-return]
        node.args = [one for one in node.args if not (isinstance(one, ast.Name) and one.id in NAMES)]
        node.keywords = [one for one in node.keywords if one.arg not in NAMES]
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Replace ``scope is None`` by True."""
        if isinstance(node.left, ast.Name) and node.left.id in NAMES:
            return ast.copy_location(ast.Constant(isinstance(node.ops[0], ast.Is)), node)  # "scope is None" holds
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
        """Drop ``scope = ...``."""
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id in NAMES:
            return None
        self.generic_visit(node)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        """Import the modules of the copy; rooms within the model's have no recorder and are not copied."""
        if node.module == "pellucid.model.recorder":
            return None
        if node.module and node.module.startswith("pellucid.model") and node.module.count(".") < 3:
            node.module = node.module.replace("pellucid.model", BARE, 1)
        return node


def without_recorder(folder: Path) -> ModuleType:
    """Write the model's source without the recorder into a folder, and import its ``transformer``.

    Raises:
        RuntimeError: a part of the recorder is left.
    """
    package = folder / BARE
    package.mkdir()
    (package / "__init__.py").touch()
    for path in sorted(ROOM.glob("*.py")):
        if path.name in {"__init__.py", "recorder.py"}:
            continue
        tree = TakeOut().visit(ast.parse(path.read_text(encoding="utf-8")))
        left = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & {*NAMES, "visit", "below"}
        if left:
            raise RuntimeError(f"{path.name}: {', '.join(sorted(left))} is left; TakeOut does not support this form")
        (package / path.name).write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(f"{BARE}.transformer")
    finally:
        sys.path.remove(str(folder))


def twin(model: Transformer, module: ModuleType) -> torch.nn.Module:
    """Return the model of ``module`` with the same weights."""
    bare: torch.nn.Module = module.Transformer(model.config)
    bare.load_state_dict(model.state_dict())
    return bare.train(model.training)


def translator_with(translator: Translator, model: torch.nn.Module) -> Translator:
    """Return a translator that searches with another model of the same tokenizer."""
    return Translator(
        lambda: ModelStepper(model),  # type: ignore[arg-type]
        translator.tokenizer,
        config=translator.config,
        source_language=translator.source_language,
        target_language=translator.target_language,
    )


def race(ours: Callable[[], object], bare: Callable[[], object], *, pairs: int) -> list[float]:
    """Return log(seconds of ours / seconds of the bare one) for each pair; the order alternates."""
    ours(), bare()
    found = []
    for pair in range(pairs):
        seconds: dict[int, float] = {}
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            began = time.process_time()  # not wall time: other work can share the core of this one thread
            (ours, bare)[side]()
            seconds[side] = time.process_time() - began
        found.append(math.log(seconds[0] / seconds[1]))
    return found


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the median and the bounds of its interval of at least 95 %, from order statistics."""
    ordered = sorted(values)
    n = len(ordered)
    below, rank = 0.0, 0
    while rank < n // 2 and below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    return statistics.median(ordered), ordered[max(rank - 1, 0)], ordered[n - max(rank, 1)]


def percent(log_ratio: float) -> str:
    return f"{(math.exp(log_ratio) - 1) * 100:+.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    translator = pellucid.load(options.model, engine="torch", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        bare = translator_with(translator, twin(translator.model, without_recorder(Path(folder))))
        ours = translator_with(translator, twin(translator.model, transformer))
        assert [one.text for one in ours.translate(list(SENTENCES))] == [
            one.text for one in bare.translate(list(SENTENCES))
        ]
        ratios = race(
            lambda: ours.translate(list(SENTENCES)), lambda: bare.translate(list(SENTENCES)), pairs=options.pairs
        )
    median, low, high = interval(ratios)
    print(
        f"with an unused recorder argument, against without it: {percent(median)} "
        f"[{percent(low)}, {percent(high)}] (median of {len(ratios)} paired ratios, 95 % interval)"
    )


if __name__ == "__main__":
    main()
