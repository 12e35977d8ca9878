"""The ways in: text lines, TSV, JSON lines, TOML, tokenizer files, weights, .npz files, HTTP requests, documents.

``TARGETS`` makes each of them in a folder; a sound input of each is its seed. Everything is reached by what users and
jobs call, as a stranger's file or request would reach it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tests.fuzz import kept
from tests.fuzz.documents import DOCUMENT_TARGETS
from tests.fuzz.harness import Target
from tests.fuzz.mutation import inside_gzip, inside_protobuf, inside_safetensors, inside_zip, mutate_json, mutate_value
from tests.fuzz.servers import Application, Server
from tests.models import random_model, save_model
from tests.unit.interop.npz_kit import make_npz_folder

import pellucid
from pellucid.bundle import load_bundle, read_description
from pellucid.config import CleaningConfig, CorpusConfig, DataConfig, InvalidUtf8, TranslationConfig
from pellucid.config.recipe import load_recipe, recipe_from
from pellucid.config.tables import to_toml
from pellucid.errors import PellucidError
from pellucid.interop.marian.reading import read_marian_npz
from pellucid.jobs.line_files import reading
from pellucid.jobs.serve import walkthrough_folder
from pellucid.text.cleaning import Cleaner
from pellucid.text.corpus import read_pairs, verify_corpora
from pellucid.text.lines import read_lines
from pellucid.text.tokenizer import Tokenizer, load_tokenizer
from pellucid.translation.translator import Translator

__all__ = ["TARGETS"]

ROOT = Path(__file__).parents[2]
TEXT = "I am a student.\nThe animal didn't cross the street.  It was too tired!\n\nné à 3 h, {0} http://a.b/c?d=%s\n"
SHORT = TranslationConfig(beam_size=1, max_length_factor=1e-9, max_length_constant=4)


def _tokenizer() -> Tokenizer:
    return load_tokenizer(walkthrough_folder() / "model" / "tokenizer")


TINY = {"d_model": 12, "d_feedforward": 17, "num_decoder_layers": 1}


def _saved(folder: Path) -> Path:
    languages = {"source_language": "en", "target_language": "fr"}
    return save_model(folder, random_model(**TINY), translation=SHORT, **languages)


def text_lines(folder: Path) -> Target:
    """Lines of a file: read under each policy, and translated."""
    tokenizer = _tokenizer()
    translator = Translator(
        random_model(tokenizer, **TINY, max_positions=1024),
        tokenizer,
        config=SHORT,
        source_language="en",
        target_language="fr",
    )

    def take(name: str, content: bytes) -> None:
        path = folder / name
        path.write_bytes(content)
        with reading(str(path)) as source:
            lines = [line if isinstance(line, str) else None for line in source.lines()]
        results = translator.translate(lines[:20])
        assert len(results) == min(len(lines), 20)
        assert all("\n" not in result.text for result in results)
        for policy in InvalidUtf8:
            assert sum(1 for _ in read_lines(path, invalid_utf8=policy)) == len(lines)

    packed = gzip.compress(TEXT.encode(), mtime=0)
    return Target(
        take,
        {"text.en": TEXT.encode(), "text.gz": packed},
        mutators={"text.gz": inside_gzip},
        words=[b"\n", b"\r\n", b".", b" ", b"? ", b">>fra<<", b"<s>", b"</s>", b"\xe2\x96\x81"],
        kept=kept.texts(),
    )


def _corpus(folder: Path, name: str, **form: object) -> Callable[[str, bytes], None]:
    path = folder / name

    def take(_: str, content: bytes) -> None:
        path.write_bytes(content)
        corpus = CorpusConfig.model_validate({path.suffix[1:]: path} | form)
        refusal: PellucidError | None = None
        for policy in InvalidUtf8:
            try:
                (facts,) = verify_corpora(DataConfig(train=(corpus,), invalid_utf8=policy))
            except PellucidError as error:
                refusal = error
                continue
            pairs = list(read_pairs(corpus, index=0, invalid_utf8=policy))
            assert len(pairs) == facts.pairs
            cleaner = Cleaner(CleaningConfig())
            assert sum(1 for _ in cleaner.clean(pairs)) == cleaner.report().kept
        if refusal is not None:
            raise refusal

    return take


def tsv(folder: Path) -> Target:
    """Rows with columns between tabs."""
    rows = "Hello.\tBonjour.\nA \u00e9 dog\tUn chien\nx\ty\tz\n"
    words = [b"\t", b"\n", b'"', b"\t\t", b"\r\n", b"\t\n"]
    return Target(_corpus(folder, "x.tsv"), {"tsv": rows.encode()}, words=words, kept={"no line": ("tsv", b"\n")})


def json_lines(folder: Path) -> Target:
    """An object a line."""
    rows = [{"source": "Hello.", "target": "Bonjour."}, {"source": "\u00e9 \U0001f600", "target": "x", "more": [1, {}]}]

    def mutator(raw: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
        lines = raw.splitlines()
        at = generator.randrange(len(lines))
        return b"\n".join([*lines[:at], mutate_json(lines[at], generator, words), *lines[at + 1 :], b""])

    deep = b'{"source": ' + b"[" * 100_000 + b"]" * 100_000 + b', "target": "x"}'
    return Target(
        _corpus(folder, "x.jsonl"),
        {"jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()},
        mutators={"jsonl": mutator},
        words=[b'"source"', b'"target"', b"\\ud800", b"\\u0000", b"null", b"NaN", b"\n"],
        kept={"brackets": ("jsonl", deep), "a number of digits": ("jsonl", b'{"source": ' + b"9" * 90_000 + b"}")},
    )


def toml(folder: Path) -> Target:
    """Recipes, the description of a model, and settings of the command line."""
    (folder / "out").mkdir(exist_ok=True)

    def take(name: str, content: bytes) -> None:
        if name == "settings":
            recipe_from({}, content.decode("utf-8", "surrogateescape").split("\n"))
            return
        path = folder / ("model.toml" if name == "model.toml" else "recipe.toml")
        path.write_bytes(content)
        if name == "model.toml":
            read_description(folder)
            return
        recipe = load_recipe(path)
        path.write_text(to_toml(recipe), encoding="utf-8")
        assert load_recipe(path) == recipe, "what is written resolved is the same recipe"

    seeds = {path.name: path.read_bytes() for path in sorted((ROOT / "recipes").glob("*.toml"))}
    seeds |= {"model.toml": (walkthrough_folder() / "model" / "model.toml").read_bytes()}
    seeds |= {
        "settings": b"training.seed=7\nmodel.num_heads=4\npreset=small\ndata.invalid_utf8='skip'\nmodel={dropout=0.2}"
    }
    words = [b"[", b"]", b"[[", b".", b" = ", b'"""', b"'''", b"{", b"}", b"\n", b"true", b"1979-05-27", b"#", b"inf",
             b"[model]\n", b"[data]\n", b"training.", b'"\\uD800"', b"0o7", b"=="]  # fmt: skip
    return Target(take, seeds, words=words, kept=kept.toml())


def tokenizer(folder: Path) -> Target:
    """The files of a tokenizer, with the checksums that its description gives."""
    whole, own = walkthrough_folder() / "model" / "tokenizer", folder / "tokenizer"
    shutil.copytree(whole, own, dirs_exist_ok=True)
    seeds = {name: (whole / name).read_bytes() for name in ("tokenizer.json", "vocabulary.json", "sentencepiece.model")}

    def take(name: str, content: bytes) -> None:
        (own / name).write_bytes(content)
        try:
            if name != "tokenizer.json":
                table = json.loads(seeds["tokenizer.json"])
                table["sha256"][name] = hashlib.sha256(content).hexdigest()
                (own / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
            found = load_tokenizer(own)
            ids = found.encode_source([TEXT, "a\u0301\u1112\u1161\u11ab \uff21 \u2581 \U0001f600"])
            assert all(0 <= i < found.source_vocab_size for row in ids for i in row)
            found.decode_target([[i % found.target_vocab_size for i in row] for row in ids])
        finally:
            for kind in {name, "tokenizer.json"}:
                (own / kind).write_bytes(seeds[kind])

    words = [b"<pad>", b"<unk>", b"<s>", b"</s>", b"<0x41>", b"\xe2\x96\x81", b"\x0a\x00", b"\x12\x00", b"\x1a\x02",
             b"\x9a\x80\x80\x80\x10", b"\x15\0\0\x80\x7f", b"true", b"null", b">>fr<<"]  # fmt: skip
    mutators = {"sentencepiece.model": inside_protobuf, "tokenizer.json": mutate_json, "vocabulary.json": mutate_json}
    return Target(take, seeds, mutators=mutators, words=words, kept=kept.segmenters(seeds["sentencepiece.model"]))


def weights(folder: Path) -> Target:
    """A weights file, with the checksum that the description of the model gives."""
    whole = _saved(folder / "model")
    description = (whole / "model.toml").read_text(encoding="utf-8")
    name = tomllib.loads(description)["weights"]
    sound = (whole / name).read_bytes()

    def take(_: str, content: bytes) -> None:
        digests = (hashlib.sha256(raw).hexdigest() for raw in (sound, content))
        (whole / "model.toml").write_text(description.replace(*digests), encoding="utf-8")
        (whole / name).write_bytes(content)
        bundle = load_bundle(whole)
        result = Translator(bundle.model, bundle.tokenizer, config=SHORT).translate("ab c")
        assert isinstance(result.text, str)

    words = [b"F32", b"BF16", b"I64", b"F8_E4M3", b"__metadata__", b"data_offsets", b"shape", b"dtype", b"\0\0\xc0\x7f"]
    mutators = {"weights": inside_safetensors}
    return Target(take, {"weights": sound}, mutators=mutators, words=words, kept=kept.safetensors(sound))


def _probes(run: Path) -> bytes:
    """Write what training keeps beside the model in ``run``, and return its one probe."""
    (run / "probes").mkdir()
    pairs = [{"source_ids": [104, 105], "target_ids": [110]}, {"source_ids": [106], "target_ids": [111, 112]}]
    (run / "probes" / "index.json").write_text(json.dumps({"pairs": pairs}), encoding="utf-8")
    (run / "metrics.jsonl").write_text('{"kind": "step", "step": 1, "loss": 2.5}\n', encoding="utf-8")
    generator = np.random.default_rng(3)
    np.savez(
        run / "probes" / "step-00000020.npz",
        pair=np.int32([0, 0, 1, 1, 1]),
        target_ids=np.int32([110, 3, 111, 112, 3]),
        target_log_probability=generator.normal(size=5).astype(np.float32),
        top_ids=generator.integers(0, 200, size=(5, 50)).astype(np.int32),
        top_log_probabilities=generator.normal(size=(5, 50)).astype(np.float32),
        log_sum_exp=generator.normal(size=5).astype(np.float32),
    )
    return (run / "probes" / "step-00000020.npz").read_bytes()


def npz(folder: Path) -> Target:
    """Traces, probes and models of Marian's own."""
    _saved(folder / "run" / "model")
    probe = _probes(folder / "run")
    application = Application([folder / "run"])
    marian = make_npz_folder(folder / "marian")
    made = pellucid.trace(pellucid.load(folder / "run", threads=1), "ab c", level="attention")
    made.save(folder / "trace.npz")
    seeds = {
        "trace.npz": (folder / "trace.npz").read_bytes(),
        "probe.npz": probe,
        "marian.npz": (marian / "model.npz").read_bytes(),
    }
    with np.load(folder / "trace.npz") as archive:
        manifest = json.loads(archive["manifest"].tobytes())

    def take(name: str, content: bytes) -> None:
        if name == "trace.npz":
            (folder / "trace.npz").write_bytes(content)
            found = pellucid.Trace.load(folder / "trace.npz")
            found.check()
            found.save(folder / "again.npz")
            assert pellucid.Trace.load(folder / "again.npz") == found
        elif name == "probe.npz":
            (folder / "run" / "probes" / "step-00000020.npz").write_bytes(content)
            application.ask({"method": "GET", "path": "/api/models/run/probes/20"})
        else:
            (marian / "model.npz").write_bytes(content)
            read_marian_npz(marian)

    words = [b"'descr'", b"'<f4'", b"'|O'", b"'shape': (", b"True", b"\x93NUMPY", b"aliases", b"order", b"manifest",
             b"level", b"full", b"tokens", b"dim-emb", b"transformer-heads: 0", b"\n  - "]  # fmt: skip
    mutators = dict.fromkeys(seeds, inside_zip)
    harm = kept.traces(manifest) | {"an archive that unpacks to a gigabyte": ("trace.npz", kept.bomb())}
    return Target(take, seeds, mutators=mutators, words=words, kept=harm)


_JSON = {"content-type": "application/json", "host": "127.0.0.1", "origin": "http://127.0.0.1"}


def _asked() -> Mapping[str, dict[str, object]]:
    wish = {"model": "toy", "source": "ab c", "target": None, "settings": {"beam_size": 2, "alpha": 0.5, "seed": 3}}
    site, weight = "decoder.0.cross_attention.weights", "decoder.layers.0.cross_attention.queries.weight"
    paths = {
        "models": ("/api/models", ""),
        "rows": ("/api/models/toy/rows/source", "ids=1,2,3"),
        "positions": ("/api/models/toy/positions", "layout=interleaved&length=4"),
        "neighbours": ("/api/models/toy/neighbours/target/5", ""),
        "weights": (f"/api/models/toy/weights/{weight}", "head=1"),
        "site": (f"/api/traces/TRACE/sites/{site}", "head=0&row=1"),
        "shares": ("/api/traces/TRACE/shares/decoder.0.cross_attention", "row=0"),
        "export": ("/export/TRACE.npz", ""),
    }
    return {"post": {"method": "POST", "path": "/api/traces", "query": "", "headers": _JSON, "body": wish}} | {
        name: {"method": "GET", "path": path, "query": query, "headers": _JSON} for name, (path, query) in paths.items()
    }


def requests(folder: Path) -> Target:
    """Requests as the server's program sees them, with odd values in every place."""
    application = Application([_saved(folder / "toy")])

    def take(_: str, content: bytes) -> None:
        application.ask(json.loads(content))

    def mutator(raw: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
        asked = json.loads(raw)
        for _ in range(generator.choice((1, 1, 2, 4))):
            part = generator.choice([*asked, "path", "query"])
            asked[part] = mutate_value(asked[part], generator, [word.decode() for word in words])
        return json.dumps(asked).encode()

    seeds = {name: json.dumps(asked).encode() for name, asked in _asked().items()}
    words = [
        b"TRACE",
        b"toy",
        b"/",
        b"..",
        b"%00",
        b"head=1&",
        b"full",
        b"walkthrough",
        b"gzip;q=",
        b'W/"x"',
        b"http://[",
    ]
    harm = kept.requests()
    return Target(take, seeds, mutators=dict.fromkeys(seeds, mutator), words=words, kept=harm)


def raw_requests(folder: Path) -> Target:
    """Bytes sent to the real command's port."""
    server = Server(_saved(folder / "toy"))
    body = json.dumps({"model": "toy", "source": "ab c"}).encode()
    head = "Host: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
    seeds = {
        "get": b"GET /api/models/toy HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        "post": b"POST /api/traces HTTP/1.1\r\n" + f"{head}{len(body)}\r\n\r\n".encode() + body,
        "chunked": b"POST /api/traces HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    }
    words = [b"\r\n", b"\r\n\r\n", b"HTTP/1.0", b"HTTP/2.0", b"PUT ", b"HEAD ", b"Expect: 100-continue\r\n", b"%2e%2e/",
             b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil.example\r\n",
             b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"0\r\n\r\n", b"ffffffffff\r\n",
             b"Origin: http://[\r\n"]  # fmt: skip

    def take(_: str, content: bytes) -> None:
        server.ask(content, is_sound=content in seeds.values())

    return Target(take, seeds, words=words, kept=kept.raw_requests())


TARGETS: Mapping[str, Callable[[Path], Target]] = {
    "text_lines": text_lines,
    "tsv": tsv,
    "json_lines": json_lines,
    "toml": toml,
    "tokenizer": tokenizer,
    "weights": weights,
    "npz": npz,
    "requests": requests,
    "raw_requests": raw_requests,
    **DOCUMENT_TARGETS,
}
