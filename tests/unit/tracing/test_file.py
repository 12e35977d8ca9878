"""A trace in a file comes back equal, and a file that is none is refused in a sentence."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.config import TranslationConfig
from pellucid.errors import DataError, IncompatibleModelError, RequestError
from pellucid.jobs.surface import Trace, trace
from pellucid.tracing.edits import AblateHead, SetAttention, ZeroValue
from pellucid.tracing.file import manifest_of
from pellucid.translation.translator import Translator

from .kit import make_translator

TRANSLATOR = make_translator()
EDITS = [
    AblateHead("decoder.self_attention", 1, 2, "mean"),
    SetAttention("encoder.self_attention", 0, 1, 0, (0.125, 0.5, 0.375)),
    ZeroValue(1),
]


@pytest.mark.parametrize("level", ["tokens", "attention", "full"])
@pytest.mark.parametrize("edits", [[], EDITS], ids=["plain", "edited"])
def test_comes_back_equal(tmp_path: Path, level: str, edits: list[ZeroValue]) -> None:
    made = trace(TRANSLATOR, "ein Hund", edits=edits, level=level)
    made.save(tmp_path / "a trace.npz")
    found = Trace.load(tmp_path / "a trace.npz")
    assert found == made
    assert (found.hypothesis, found.search, found.tokens) == (made.hypothesis, made.search, made.tokens)
    assert (found.provenance, found.flags, found.level) == (made.provenance, made.flags, made.level)
    assert found.sites == made.sites
    assert found.check().passed
    assert found.nbytes == made.nbytes
    assert [path.name for path in tmp_path.iterdir()] == ["a trace.npz"]


def test_any_difference_is_one() -> None:
    made = trace(TRANSLATOR, "ein Hund", target="a dog", level="attention")
    site = "decoder.0.cross_attention.weights"
    other = made[site].copy()
    other[0, 0, 0] = np.nextafter(other[0, 0, 0], 1)
    assert made != replace(made, arrays={**made.arrays, site: other})
    assert made != replace(made, flags=("copy",))
    assert made == replace(made, model=None)
    assert made != "a trace"


def test_of_a_drawn_translation_comes_back(tmp_path: Path) -> None:
    config = TranslationConfig(sampling=True, temperature=1.5, max_length_factor=1e-9, max_length_constant=5)
    drawing = Translator(TRANSLATOR.model, TRANSLATOR.tokenizer, config=config)
    made = trace(drawing, "ein Hund")
    made.save(tmp_path / "drawn.npz")
    found = Trace.load(tmp_path / "drawn.npz")
    assert found == made
    assert found.provenance == made.provenance
    assert (found.search, found.provenance.search.temperature) == ((), 1.5)


def test_needs_its_model_for_what_is_not_stored(tmp_path: Path) -> None:
    made = trace(TRANSLATOR, "ein Hund", level="tokens")
    made.save(tmp_path / "small.npz")
    found = Trace.load(tmp_path / "small.npz")
    for attempt in (lambda: found["logits"], lambda: found.at_level("full")):
        with pytest.raises(RequestError, match=r"trace\.attach\(translator\)"):
            attempt()
    attached = found.attach(TRANSLATOR)
    np.testing.assert_array_equal(attached["logits"], made["logits"])
    attached.head_shares("decoder.0.cross_attention")


@pytest.mark.parametrize("change", [{"d_feedforward": 29}, {"num_heads": 9}], ids=["weights", "configuration"])
def test_takes_no_other_model(change: dict[str, object]) -> None:
    made = trace(TRANSLATOR, "ein Hund", level="tokens")
    with pytest.raises(IncompatibleModelError, match="load the model that made the trace"):
        made.attach(make_translator(**change))


def test_shares_of_heads_need_the_model() -> None:
    made = replace(trace(TRANSLATOR, "ein"), model=None)
    with pytest.raises(RequestError, match="W_O"):
        made.head_shares("decoder.0.cross_attention")


def write(path: Path, manifest: object, **arrays: np.ndarray) -> None:
    raw = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    np.savez(path, allow_pickle=False, manifest=raw, **arrays)


def with_configuration(manifest: dict[str, Any], **changes: object) -> dict[str, Any]:
    provenance = manifest["provenance"]
    return manifest | {"provenance": provenance | {"configuration": provenance["configuration"] | changes}}


def npy(head: bytes, numbers: bytes = b"") -> bytes:
    return b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head + numbers


def head(kind: str, shape: tuple[int, ...]) -> bytes:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()


BOMBS: dict[str, dict[str, bytes]] = {
    "zeros": {"manifest.npy": npy(head("|u1", (200 << 20,)), bytes(200 << 20))},
    "zeros in a site": {"site/logits.npy": npy(head("<f4", (50 << 20,)), bytes(200 << 20))},
    "a shape without numbers": {"manifest.npy": npy(head("|u1", (1 << 40,)))},
    "a shape without numbers in a site": {"site/logits.npy": npy(head("<f4", (1 << 20, 1 << 20)))},
    "a shape beyond all numbers": {"site/logits.npy": npy(head("<f4", (1 << 62, 1 << 62)))},
    "a long head": {"site/logits.npy": npy(b"(" * (20 << 20))},
    "a head that is longer than the file": {"site/logits.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"},
    "a deep head": {"site/logits.npy": npy(b"[" * 4000)},
    "a shape below zero": {"site/logits.npy": npy(head("<f4", (-1, -4)), bytes(16))},
    "objects": {"site/logits.npy": npy(head("|O", (1,)), b"\x80.")},
    "texts": {"site/logits.npy": npy(head("<U9", (1,)), bytes(36))},
}


class TestFilesOfOthers:
    @pytest.mark.parametrize("members", BOMBS.values(), ids=BOMBS.keys())
    def test_that_unpack_to_more_than_they_are(self, tmp_path: Path, members: dict[str, bytes]) -> None:
        with zipfile.ZipFile(tmp_path / "evil.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match="is not a trace, or is damaged") as caught:
                Trace.load(tmp_path / "evil.npz")
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()
        assert len(str(caught.value)) < 600

    def test_too_large_for_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trace(TRANSLATOR, "ein").save(tmp_path / "large.npz")

        def no_memory(*arguments: object, **options: object) -> None:
            raise MemoryError

        monkeypatch.setattr(np, "frombuffer", no_memory)
        with pytest.raises(DataError, match="not enough memory"):
            Trace.load(tmp_path / "large.npz")

    def test_packed_by_another_tool(self, tmp_path: Path) -> None:
        made = trace(TRANSLATOR, "ein Hund", level="full")
        made.save(tmp_path / "plain.npz")
        with (
            zipfile.ZipFile(tmp_path / "plain.npz") as plain,
            zipfile.ZipFile(tmp_path / "packed.npz", "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for name in plain.namelist():
                packed.writestr(name, plain.read(name))
        assert Trace.load(tmp_path / "packed.npz") == made

    @pytest.mark.parametrize(
        ("place", "change"),
        [
            ("aliases", lambda m: m | {"aliases": 5}),
            ("aliases", lambda m: m | {"aliases": ["a"]}),
            ("aliases", lambda m: m | {"aliases": {"site/logits": 7}}),
            ("order", lambda m: m | {"order": 5}),
            ("order", lambda m: m | {"order": "logits"}),
            ("source", lambda m: m | {"source": 5}),
            ("text", lambda m: m | {"text": None}),
            ("flags", lambda m: m | {"flags": {"copy": 1}}),
            ("level", lambda m: m | {"level": 3}),
            ("tokens", lambda m: m | {"tokens": []}),
            ("tokens", lambda m: m | {"tokens": m["tokens"] | {"source_ids": ["1", "2"]}}),
            ("tokens", lambda m: m | {"tokens": m["tokens"] | {"source_words": [{"text": 1, "start": 0, "end": 1}]}}),
            ("hypothesis", lambda m: m | {"hypothesis": [1]}),
            ("hypothesis", lambda m: m | {"hypothesis": m["hypothesis"] | {"score": "high"}}),
            ("search", lambda m: m | {"search": {"rows": 1}}),
            ("search", lambda m: m | {"search": [m["search"][0] | {"candidates": 5}]}),
            ("provenance", lambda m: m | {"provenance": 5}),
            ("num_encoder_layers", lambda m: with_configuration(m, num_encoder_layers=10**12)),
            ("surprise", lambda m: m | {"surprise": 1}),
        ],
    )
    def test_whose_records_are_of_other_kinds(
        self, tmp_path: Path, place: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        manifest = json.loads(json.dumps(manifest_of(trace(TRANSLATOR, "ein", level="tokens"))))
        whole = manifest | {"aliases": {}, "order": []}
        write(tmp_path / "odd.npz", whole)
        Trace.load(tmp_path / "odd.npz")
        write(tmp_path / "odd.npz", change(whole))
        with pytest.raises(DataError, match=f"odd.npz: is not a trace, or is damaged: .*{place}"):
            Trace.load(tmp_path / "odd.npz")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read: No such file"):
            Trace.load(tmp_path / "none.npz")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello"])
    def test_no_archive(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError, match="is not a trace, or is damaged"):
            Trace.load(tmp_path / "bad.npz")

    def test_no_manifest(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "other.npz", weights=np.ones(3))
        with pytest.raises(DataError, match="has no manifest"):
            Trace.load(tmp_path / "other.npz")

    @pytest.mark.parametrize("version", [2, 0, "1", None, True])
    def test_of_a_newer_format(self, tmp_path: Path, version: object) -> None:
        write(tmp_path / "new.npz", {"format_version": version})
        with pytest.raises(DataError, match=r"format_version = .* reads up to 1"):
            Trace.load(tmp_path / "new.npz")

    def test_with_a_pickle(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
            header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
            archive.writestr(
                "manifest.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\x80."
            )
        with pytest.raises(DataError, match="is not a trace, or is damaged"):
            Trace.load(tmp_path / "evil.npz")

    def test_with_parts_missing(self, tmp_path: Path) -> None:
        write(tmp_path / "part.npz", {"format_version": 1, "aliases": {}, "tokens": {}})
        with pytest.raises(DataError, match="is not a trace, or is damaged"):
            Trace.load(tmp_path / "part.npz")
