"""One of several processes that train together; run as a script by ``test_distributed``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training"))

import torch
from kit import run_training, tiny_model  # type: ignore[import-not-found]
from safetensors.torch import save_file
from sampled import sampled_inputs  # type: ignore[import-not-found]

from pellucid.training.processes.ranks import ranks_of_environment


def main(folder: Path, output: Path, settings: dict[str, object]) -> None:
    torch.set_num_threads(1)
    ranks = ranks_of_environment(torch.device("cpu"))
    inputs = sampled_inputs(output.with_suffix(f".{ranks.rank}.text")) if settings.get("source_subword_alpha") else {}
    model = inputs.pop("model", None) or tiny_model(dropout=settings.get("dropout", 0.0))
    model.double()
    settings.pop("dropout", None)
    poisoned = settings.pop("poisoned_pass", 0)
    if poisoned and ranks.rank == 1:
        real, count = model.project, 0

        def project(hidden: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += torch.is_grad_enabled()
            return real(hidden * float("nan") if count == poisoned and torch.is_grad_enabled() else hidden)

        object.__setattr__(model, "project", project)
    prepared = settings.pop("prepared_seconds", None)
    if prepared:
        inputs["seconds_before"] = prepared[ranks.rank]
    handed: list[object] = []
    result, _, listener = run_training(
        folder,
        model=model,
        ranks=ranks,
        evaluator=lambda twin: {"bleu": 1.0},
        on_new_best=lambda twin, facts: handed.append(facts["step"]),
        **inputs,
        **{f"config_{name}": value for name, value in settings.items()},
    )
    save_file(model.state_dict(), output.with_suffix(f".{ranks.rank}.safetensors"))
    facts = {
        "steps": result.steps,
        "skipped": result.skipped_steps,
        "tokens": result.target_tokens,
        "nll": result.best["nll"],
        "handed": len(handed),
        "first_step": listener.starts[0].first_step if listener.starts else None,
    }
    output.with_suffix(f".{ranks.rank}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
