"""Imported and exported models agree with ``transformers``: ids, log-probabilities, searches. Nothing is fetched."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.interop.kit import TAGS, make_folder, sentences

from pellucid.bundle import Bundle, load_bundle
from pellucid.jobs.exchange import export_model, import_model
from pellucid.translation.scoring import forced_log_probabilities

KINDS: dict[str, dict[str, Any]] = {
    "one layer": {"encoder_layers": 1, "decoder_layers": 1, "activation_function": "relu"},
    "tags": {"tags": TAGS, "activation_function": "gelu"},
    "five layers": {"encoder_layers": 5, "decoder_layers": 5, "joint_segmenter": True, "scale_embedding": False},
    "separate": {"separate": True, "tags": TAGS},
    "untied": {"separate": True, "tie_word_embeddings": False},
    "padding moved": {"zero_padding": False},
}
REAL = [
    "The animal didn't cross the street because it was too tired.",
    "  Two   spaces, a tab\tand\u00a0a no-break space.  ",
    "Full-width ＡＢＣ, ½, ﬁ, and e\u0301 in two characters.",
    "\u2603 \U00010348 unknown; 中q known on the other side only.",
    "Marks: <s> and <0x41>, ▁ too.",
    "»Quoted« — “dashes” … 1,234.56 € 100 %",
    "a",
]


def library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
    transformers.utils.logging.disable_progress_bar()
    return transformers


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    folder = make_folder(tmp_path_factory.mktemp("marian") / "theirs", **KINDS[request.param])
    outcome = import_model(folder, folder.parent / "ours", threads=1)
    assert any(comparison.theirs.startswith("transformers") for comparison in outcome.verdicts)
    return folder, load_bundle(folder.parent / "ours")


def their_tokenizer(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends sacremoses, which is not meant to act here
        return library().MarianTokenizer.from_pretrained(folder, local_files_only=True)


def their_model(folder: Path) -> Any:
    return library().MarianMTModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager").eval()


def test_the_same_ids(pair: tuple[Path, Bundle]) -> None:
    folder, bundle = pair
    texts = REAL + sentences(1)[:61] + sentences(2)[:61]
    texts += [f"{tag} {text}" for tag in bundle.tokenizer.source.vocabulary.tags for text in REAL[:3]]  # type: ignore[attr-defined]
    theirs = their_tokenizer(folder)(texts)["input_ids"]
    eos = bundle.tokenizer.specials.eos
    assert [[*ids, eos] for ids in bundle.tokenizer.encode_source(texts)] == theirs
    assert any(bundle.tokenizer.specials.unk in ids for ids in theirs)


def test_the_same_log_probabilities_in_single_precision(pair: tuple[Path, Bundle]) -> None:
    folder, bundle = pair
    generator = random.Random(9)
    pad = bundle.tokenizer.specials.pad
    pairs = []
    for text in sentences(4, 200):
        source = [*bundle.tokenizer.encode_source([text])[0][:40], 0]
        target = generator.choices(range(2, bundle.tokenizer.target_vocab_size), k=generator.randint(1, 23))
        pairs.append((source, [i if i != pad else 1 for i in target] + [0]))
    model = their_model(folder)
    worst = 0.0
    for start in range(0, len(pairs), 25):
        some = pairs[start : start + 25]
        ours = forced_log_probabilities([bundle.model], [s for s, _ in some], [t for _, t in some])
        width = max(len(s) for s, _ in some)
        ids = torch.tensor([[*s, *[pad] * (width - len(s))] for s, _ in some])
        mask = torch.arange(width) < torch.tensor([len(s) for s, _ in some])[:, None]
        length = max(len(t) for _, t in some)
        shifted = torch.tensor([[pad, *t[:-1], *[pad] * (length - len(t))] for _, t in some])
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask.long(), decoder_input_ids=shifted).logits
        theirs = logits.log_softmax(-1)
        for row, (_, target) in enumerate(some):
            expected = theirs[row, range(len(target)), target]
            worst = max(worst, float((torch.tensor(ours[row]) - expected).abs().max()))
            alone = forced_log_probabilities([bundle.model], [some[row][0]], [target]) if row == 0 else [ours[row]]
            assert torch.allclose(torch.tensor(alone[0]), expected, rtol=0, atol=1e-5)
    assert worst < 1e-5


@pytest.mark.parametrize("kind", ["tags", "separate"])
def test_what_goes_out_is_what_transformers_generates(kind: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "theirs", **KINDS[kind])
    import_model(folder, tmp_path / "ours", threads=1)
    export_model(tmp_path / "ours", tmp_path / "out", threads=1)
    tokenizer, model = their_tokenizer(tmp_path / "out"), their_model(tmp_path / "out")
    texts = sentences(1)[:7]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        greedy = model.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=19)
    from pellucid.jobs.models import open_translator

    translator = open_translator(tmp_path / "ours", device="cpu", threads=1, engine="torch")
    ours = translator.translate(texts, beam_size=1, max_length_factor=1e-6, max_length_constant=18)
    specials = translator.tokenizer.specials
    for row, translation in zip(greedy.tolist(), ours, strict=True):
        ids = row[1:]
        ids = ids[: ids.index(specials.eos)] if specials.eos in ids else ids
        assert tuple(ids[:18]) == tuple(i for i in translation.alternatives[0].ids if i != specials.eos)
