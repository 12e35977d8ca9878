"""Build a deeper model from copies of the layers of a shallow one, for further training.

    python benchmarks/grow_model.py runs/shallow --layers 6 --output runs/grown
    pellucid train ... --init-from runs/grown

With random initial weights, a model with six post-norm layers on each side learns the target language for half an hour
before it starts to use the source (docs/log.md, 2026-11-22). With two layers on each side it uses the source within a
minute. So the shallow model is trained first, and its layers are stacked: layers 0 1 become 0 1 0 1 0 1 (progressive
stacking, Gong et al. 2019, "Efficient Training of BERT by Progressively Stacking"), with ``--repeat each`` 0 0 0 1 1 1.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pellucid.bundle import load_bundle, save_bundle
from pellucid.model.transformer import Transformer


def grown(model: Transformer, layers: int, *, repeat: str) -> Transformer:
    """Return a model with ``layers`` layers on each side, each a copy of a layer of ``model``."""
    config = model.config.model_copy(update={"num_encoder_layers": layers, "num_decoder_layers": layers})
    old = model.state_dict()
    shallow = {"encoder": model.config.num_encoder_layers, "decoder": model.config.num_decoder_layers}

    def origin(name: str) -> str:
        match = re.match(r"(encoder|decoder)\.layers\.(\d+)\.", name)
        if match is None:
            return name
        stack, layer = match[1], int(match[2])
        source = layer % shallow[stack] if repeat == "all" else layer * shallow[stack] // layers
        return f"{stack}.layers.{source}." + name[match.end() :]

    deep = Transformer(config)
    deep.load_state_dict({name: old[origin(name)] for name in deep.state_dict()})
    return deep


def main() -> None:
    """Read a model, build the deeper one and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--repeat", choices=("all", "each"), default="all")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    bundle = load_bundle(given.model)
    save_bundle(
        given.output,
        grown(bundle.model, given.layers, repeat=given.repeat).eval(),
        tokenizer=bundle.tokenizer,
        card=f"# Initial weights for training\n\nCopies of the layers of {given.model}, {given.layers} on each side.\n",
        source_language=bundle.description.source_language,
        target_language=bundle.description.target_language,
        translation=bundle.description.translation,
    )
    print(f"{given.output}: {given.layers} layers on each side; continue training with --init-from")


if __name__ == "__main__":
    main()
