"""Run a compiled engine over random models and requests; torch is not imported, so that sanitizers see our code alone.

``python native_fuzz.py LIBRARY REQUESTS SEED FOLDER`` ends with status 0 and prints how many hypotheses it got.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pellucid.config import LengthPenalty, ModelConfig
from pellucid.text.spelling import PieceIndex
from pellucid.translation.engines.native.jobs import Workers, run_search
from pellucid.translation.engines.native.library import Library
from pellucid.translation.engines.native.memory import Sampling, SearchSettings, Sentence
from pellucid.translation.engines.native.preparation import Array, WeightSource, open_prepared, prepare
from pellucid.translation.prefixes import Prefix, Spelling

EOS = 3


def random_source(generator: np.random.Generator) -> WeightSource:
    """Draw a model's shape and weights; names and shapes are those of the model's state dictionary."""
    num_heads = int(generator.integers(1, 5))
    d_model = 2 * num_heads * int(generator.integers(1, 20))
    config = ModelConfig(
        d_model=d_model,
        num_heads=num_heads,
        d_feedforward=int(generator.integers(1, 150)),
        num_encoder_layers=int(generator.integers(1, 4)),
        num_decoder_layers=int(generator.integers(1, 4)),
        norm_order=generator.choice(["post", "pre"]),
        activation=generator.choice(["relu", "gelu", "swish"]),
        source_vocab_size=(size := int(generator.integers(5, 300))),
        target_vocab_size=size,
        output_bias=bool(generator.integers(2)),
        max_positions=64,
    )
    tensors: dict[str, Array] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        tensors[f"{name}.weight"] = generator.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32)
        tensors[f"{name}.bias"] = generator.normal(0, 0.1, outputs).astype(np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = generator.normal(1, 0.1, d_model).astype(np.float32)
        tensors[f"{name}.bias"] = generator.normal(0, 0.1, d_model).astype(np.float32)

    tensors["source_embedding.weight"] = generator.normal(0, d_model**-0.5, (size, d_model)).astype(np.float32)
    if config.output_bias:
        tensors["projection.bias"] = generator.normal(0, 1, size).astype(np.float32)
    for stack, depth in (("encoder", config.num_encoder_layers), ("decoder", config.num_decoder_layers)):
        norm(f"{stack}.final_norm")
        for index in range(depth):
            prefix = f"{stack}.layers.{index}"
            for kind in ("self_attention", "cross_attention")[: 1 + (stack == "decoder")]:
                norm(f"{prefix}.{kind}_norm")
                for part in ("queries", "keys", "values", "output"):
                    linear(f"{prefix}.{kind}.{part}", d_model, d_model)
            norm(f"{prefix}.feed_forward_norm")
            linear(f"{prefix}.feed_forward.inner", config.d_feedforward, d_model)
            linear(f"{prefix}.feed_forward.outer", d_model, config.d_feedforward)
    positions = generator.normal(0, 1, (64, d_model)).astype(np.float32)
    return WeightSource(config, tensors, (positions, positions), start_id=int(generator.integers(-1, 3)))


def random_prefix(generator: np.random.Generator, index: PieceIndex, limit: int, avoided: tuple[int, ...]) -> Prefix:
    """Draw certain pieces and a text that the vocabulary can write within the limit; often none of both."""
    ids = tuple(generator.integers(4, len(index.lengths), generator.integers(0, 3)).tolist())
    if generator.integers(2):
        return Prefix(ids)
    spelling = Spelling(bytes(generator.choice([97, 98], generator.integers(0, 6)).tolist()), index, avoided=avoided)
    return Prefix(ids, spelling, limit - 1) if len(ids) + spelling.fewest < limit else Prefix()


def checked(sentence: Sentence, hypotheses: object, settings: SearchSettings) -> int:
    """Return the number of hypotheses, which are as the settings want them."""
    assert isinstance(hypotheses, list), hypotheses
    assert 1 <= len(hypotheses) <= settings.n_best
    for one in hypotheses:
        assert len(one.ids) <= sentence.limit
        begun = 0
        while begun < len(one.ids) and (allowed := sentence.prefix.next_ids(one.ids[:begun])) is not None:
            assert one.ids[begun] in allowed
            begun += 1
        assert not set(one.ids[begun:]) & set(settings.forbidden_ids)
        assert one.is_finished == (one.ids[-1:] == (EOS,))
        assert all(-1e4 < term < 1e-5 for term in one.token_log_probabilities)
        if settings.head is not None:
            assert one.attention.shape == (len(one.ids), len(sentence.source_ids))
            assert np.allclose(one.attention.sum(axis=1), 1, atol=1e-4)
    return len(hypotheses)


def random_request(generator: np.random.Generator, workers: Workers) -> int:
    """Search some sentences with settings drawn at random; return the number of hypotheses."""
    config = workers.prepared.config
    beam_size = int(generator.choice([1, 2, 3, 5, 17, 60]))
    size = config.target_vocab_size
    forbidden = tuple(int(i) for i in generator.integers(0, size, generator.integers(0, 6)) if i != EOS)
    layer, head = int(generator.integers(config.num_decoder_layers)), int(generator.integers(config.num_heads))
    sampling = None
    if beam_size == 1 and generator.integers(3):
        temperature, top_p = float(10 ** generator.uniform(-4, 4)), float(generator.choice([1, 0.9, 1e-9]))
        sampling = Sampling(temperature, int(generator.choice([0, 1, 7, 10**9])), top_p)
    settings = SearchSettings(
        beam_size=beam_size,
        n_best=int(generator.integers(1, beam_size + 1)),
        sampling=sampling,
        length_penalty=LengthPenalty(generator.choice(["none", "average", "gnmt"])),
        alpha=float(generator.uniform(0, 3)),
        min_length=int(generator.integers(0, 5)),
        no_repeat_ngram_size=int(generator.choice([0, 0, 1, 2, 3])),
        end_id=EOS,
        forbidden_ids=forbidden,
        head=(layer, head) if generator.integers(2) else None,
    )
    index = PieceIndex([b"", b"", b"", b"", *(b"ab"[i % 2 :][: 1 + i % 3] for i in range(4, size))], left_out={1})
    sentences = []
    for _ in range(int(generator.integers(1, 20))):
        source = [*generator.integers(0, config.source_vocab_size, generator.integers(0, 40)).tolist(), EOS]
        limit = int(generator.integers(6, 60))
        uniform = generator.random(limit)
        sentences.append(Sentence(source, limit, random_prefix(generator, index, limit, forbidden), uniform))
    divisor = int(generator.integers(1, 4))
    found = run_search(
        workers,
        sentences,
        settings=settings,
        threads=int(generator.integers(1, 4)),
        key_of=(lambda ids: tuple(i for i in ids if i % divisor)) if generator.integers(2) else None,
    )
    return sum(checked(one, hypotheses, settings) for one, hypotheses in zip(sentences, found, strict=True))


def main() -> None:
    library = Library(Path(sys.argv[1]))
    generator = np.random.default_rng(int(sys.argv[3]))
    path = Path(sys.argv[4]) / "prepared"
    total = 0
    for number in range(int(sys.argv[2])):
        if number % 20 == 0:
            is_int8 = bool(generator.integers(2))
            prepare(path, random_source(generator), columns=library.columns, is_int8=is_int8)
            prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
            assert prepared is not None
            workers = Workers(library, prepared)
        total += random_request(generator, workers)
    print(total)


if __name__ == "__main__":
    main()
