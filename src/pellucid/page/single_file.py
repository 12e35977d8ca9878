"""The contents of the single file: the answers to the requests of its page, within a limit of bytes.

The page requests the same paths as from a server. This file decides in parts which answers to include: the first part
always; a later part only if all of it fits. The result lists the parts that were left out, and the page says that
their numbers require the server. Read ``assembly.py`` next, which makes the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from pellucid.analysis.alignment import Unit, links_of_trace
from pellucid.analysis.attribution.record import Method
from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import DataError, RequestError
from pellucid.page.answers import Answer
from pellucid.page.answers_compare import BEFORE
from pellucid.page.answers_edit import before_of
from pellucid.page.answers_model import model_answer, models_answer
from pellucid.page.answers_trace import TraceRecord, trace_answer
from pellucid.page.assembly import standalone_page, web_files
from pellucid.page.catalogue import OpenedModel, open_model
from pellucid.tracing.file import write_whole
from pellucid.tracing.record import Trace
from pellucid.tracing.searching.making import has_tree
from pellucid.tracing.sites import AttentionKind, refuse_outside

__all__ = [
    "LARGEST_BYTES",
    "WEIGHTS",
    "SingleFile",
    "StartView",
    "record_of",
    "single_file",
    "view_names",
    "write_page",
]

LARGEST_BYTES: Final = 64 << 20
"""Default limit of a file; browsers open such a file without a delay."""
WEIGHTS: Final = ("none", "layer", "all")
_POSITIONS_SHOWN: Final = 64
_TOP_SHOWN: Final = 10


@dataclass(frozen=True)
class StartView:
    """What the page shows first; for None the page chooses."""

    view: str | None = None
    kind: str | None = None
    """``encoder``, ``decoder`` or ``cross``."""
    layer: int | None = None
    heads: Sequence[int] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    """Further parts of an address, such as ``query``."""

    def address(self) -> str:
        """Return the part of an address after ``#``."""
        parts = {
            "view": self.view,
            "kind": self.kind,
            "layer": self.layer,
            "heads": ",".join(map(str, self.heads)) or None,
            **self.more,
        }
        return urlencode({name: value for name, value in parts.items() if value is not None}, safe=",")

    def checked(self, config: ModelConfig) -> StartView:
        """Return this view with the short name of its kind, after checking it against a model.

        Raises:
            RequestError: the view, kind, layer or head does not exist.
        """
        if self.view is not None and self.view not in view_names():
            raise RequestError(f"view = {self.view!r}; allowed are {', '.join(view_names())}")
        kind = None if self.kind is None else AttentionKind.named(self.kind)
        if self.layer is not None:
            kinds = AttentionKind if kind is None else [kind]
            refuse_outside("layer", self.layer, min((kind.layers(config) for kind in kinds), key=len))
        for head in self.heads:
            refuse_outside("head", head, range(config.num_heads))
        return replace(self, kind=kind and kind.short)


@dataclass(frozen=True)
class SingleFile:
    """The page as one file, and a list of what it does not contain."""

    html: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """Answers that are included together or not at all."""

    name: str
    paths: Callable[[], Iterable[str]]
    least_bytes: int = 0
    """A lower bound of the size, known before anything is computed."""
    is_wanted: bool = True


def view_names() -> tuple[str, ...]:
    """Return the names of the views in the order of the page, read from its source."""
    source = web_files()["modules/views.js"].decode()
    return tuple(re.findall(r"\{name: \"(\w+)\"", source))


def record_of(trace: Trace, opened: OpenedModel | None = None, *, beside: Trace | None = None) -> TraceRecord:
    """Return a record of the full trace with its model; the id is a digest of the contents.

    The page compares the trace with ``beside``.

    Raises:
        RequestError: the trace has no model.
    """
    if trace.translator is None:
        raise RequestError(
            "a page requires the weights and vocabulary of the model, and this trace has no model; "
            "attach it with trace.attach(translator)"
        )
    whole, opened = trace.at_level("full"), opened or open_model(trace.translator)
    other = None if beside is None else record_of(beside)
    record = TraceRecord(id="", trace=whole, opened=opened, before=before_of(whole), beside=other)
    return replace(record, id=record.sha256[:16])


def write_page(
    trace: Trace,
    path: Path,
    *,
    opened: OpenedModel | None = None,
    start: StartView | None = None,
    weights: str | None = None,
    beside: Trace | None = None,
    largest_bytes: int = LARGEST_BYTES,
) -> tuple[str, ...]:
    """Write the page of a trace, and of its comparison with ``beside``, to a file; return what it leaves out.

    Raises:
        RequestError: see ``single_file``.
        DataError: the file cannot be written there.
        StoppedError: the disk is full.
    """
    if path.is_dir():
        raise DataError(f"{path}: cannot be written: it is a folder")
    made = single_file(
        record_of(trace, opened, beside=beside), start=start, weights=weights, largest_bytes=largest_bytes
    )
    write_whole(path, made.html.encode())
    return made.left_out


def single_file(
    record: TraceRecord,
    *,
    start: StartView | None = None,
    weights: str | None = None,
    largest_bytes: int = LARGEST_BYTES,
    modules: Sequence[str] = ("pellucid/main",),
) -> SingleFile:
    """Make the page of one trace as one file.

    Args:
        record: a whole trace with its model.
        start: what it shows first.
        weights: which weights of attentions and feed-forward networks to include: ``none``, those of the first
            ``layer`` shown, or ``all``; None includes as many as fit.
        largest_bytes: limit of the file; the first part is always included.
        modules: the modules that the page runs.

    Raises:
        RequestError: ``start`` or ``weights`` has a wrong value, or there is no model.
    """
    opened, config = record.opened, record.trace.provenance.configuration
    if opened is None or config is None:
        raise RequestError("a page requires the model of the trace; attach it with trace.attach(translator)")
    if weights not in (None, *WEIGHTS):
        raise RequestError(f"weights = {weights!r}; allowed are {', '.join(WEIGHTS)}")
    start = (start or StartView()).checked(config)
    # The file has one sentence, and it cannot open snapshots.
    opened = replace(opened, examples=(record.trace.source,))
    embedded = {"api/models": models_answer([opened], with_snapshots=False)}
    left_out: list[str] = []
    room = largest_bytes
    for number, part in enumerate(_parts(record, opened, config, start, weights)):
        if not part.is_wanted:
            left_out.append(part.name)
            continue
        answers: dict[str, Answer] = {}
        if number == 0 or part.least_bytes <= room:
            answers = {path: _ask(record, opened, path) for path in part.paths()}
        size = sum(map(_size, answers.items()))
        if number and (size > room or part.least_bytes > room):
            left_out.append(part.name)
            continue
        room -= size
        embedded |= answers
    title = f"{record.trace.source} → {record.trace.text}"
    html = standalone_page(embedded, title=title, start=start.address(), modules=modules, left_out="; ".join(left_out))
    return SingleFile(html=html, left_out=tuple(left_out))


def _parts(
    record: TraceRecord, opened: OpenedModel, config: ModelConfig, start: StartView, weights: str | None
) -> Iterator[_Part]:
    trace, of_trace, of_model = record.trace, f"api/traces/{record.id}", f"api/models/{opened.id}"
    attention = [site for site in trace.sites if site.endswith("_attention.weights")]
    output = [site for site in trace.sites if site in ("logits", "log_probabilities")]
    others = [site for site in trace.sites if site not in (*attention, *output)]
    places = [site.removesuffix(".weights") for site in attention]

    def sites(names: Sequence[str]) -> list[str]:
        return [f"{of_trace}/sites/{name}" for name in names]

    def bytes_of(names: Sequence[str]) -> int:
        return sum(trace[name].size * 16 // 3 for name in names)

    flows = [f"{of_trace}/flow", *(f"{of_trace}/flow?head={head}" for head in range(config.num_heads))]
    manifest = [of_trace, f"{of_trace}/heads", f"{of_trace}/atlas", *flows, f"{of_trace}/changes", of_model]
    if record.before is not None:
        manifest += [f"{of_trace}/effect", f"{of_trace}/{BEFORE}", f"{of_trace}/{BEFORE}/changes"]
    if record.beside is not None:
        manifest += list(_beside(record.beside, of_trace))
    yield _Part("the attention of every head", lambda: [*manifest, *sites(attention)])
    yield _Part("which heads matter", lambda: [f"{of_trace}/head_effects"])
    yield _Part("why each word", lambda: [f"{of_model}/measured", *_why(trace, of_trace)])
    if record.before is not None:
        of_before = [f"{of_trace}/beside/{BEFORE}", *(f"{of_trace}/before/sites/{site}" for site in attention)]
        yield _Part("the attention before the edits", lambda: of_before, bytes_of(attention))
    yield _Part("the tree of the search", lambda: [f"{of_trace}/search"] if has_tree(trace) else [])
    yield _Part("what every sub-layer computed", lambda: sites(others), bytes_of(others))
    yield _Part("how every candidate was rated", lambda: [*sites(output), *_around(record, of_model)], bytes_of(output))
    yield _Part("position encodings and neighbours", lambda: _tables(trace, config, of_model))
    if opened.has_training:
        steps = opened.probe_steps
        training = [f"{of_model}/training", *(f"{of_model}/probes/{step}" for step in steps)]
        yield _Part("how the model was trained", lambda: training)
    rows = sum(trace[site].shape[1] for site in attention)
    shares = rows * (config.num_heads + 1) * config.d_model * 16 // 3
    yield _Part("what each head adds", lambda: list(_shares(trace, places, of_trace)), shares)
    yield from _weights(opened, places, start, weights)


def _why(trace: Trace, of_trace: str) -> Iterator[str]:
    if links_of_trace(trace).contributions is not None:
        yield from (f"{of_trace}/why?method={method}" for method in (Method.ALTI_LOGIT, Method.ALTI))
    yield from (f"{of_trace}/align?unit={unit}" for unit in Unit)
    yield from (f"{of_trace}/lens?step={step}" for step in range(trace.tokens.target_length))


def _beside(other: TraceRecord, of_trace: str) -> Iterator[str]:
    """Yield the comparison with another trace, and the attention of that one."""
    yield f"{of_trace}/beside/{other.id}"
    for site in other.trace.sites:
        if site.endswith("_attention.weights"):
            yield f"{of_trace}/beside/{other.id}/sites/{site}"


def _weights(opened: OpenedModel, places: Sequence[str], start: StartView, wanted: str | None) -> Iterator[_Part]:
    of_model = f"api/models/{opened.id}/weights"
    own = AttentionKind.named(start.kind or "encoder").at(start.layer or 0)
    networks = list(dict.fromkeys(f"{place.rpartition('.')[0]}.feed_forward" for place in places))
    own_network = f"{own.rpartition('.')[0]}.feed_forward"
    for name, chosen, is_wanted in (
        (f"the weights of {own}", [own], wanted != "none"),
        (f"the weights of {own_network}", [own_network], wanted != "none"),
        ("the weights of the other attentions", [one for one in places if one != own], wanted in (None, "all")),
        (
            "the weights of the other feed-forward networks",
            [one for one in networks if one != own_network],
            wanted in (None, "all"),
        ),
    ):
        paths = [f"{of_model}/{rest}" for place in chosen for rest in _parameters(opened, place)]
        of_these = [place.replace(".", ".layers.", 1) + "." for place in chosen]
        numbers = sum(
            tensor.numel()
            for parameter, tensor in opened.parameters.items()
            if any(parameter.startswith(place) for place in of_these)
        )
        yield _Part(name, lambda paths=paths: paths, numbers * 16 // 3, is_wanted)  # type: ignore[misc]


def _parameters(opened: OpenedModel, place: str) -> Iterator[str]:
    """Yield the weights that the views use: projections head by head, everything else whole."""
    module = place.replace(".", ".layers.", 1)
    for name in opened.parameters:
        if not name.startswith(f"{module}."):
            continue
        if re.search(r"_attention\.(queries|keys|values)\.", name) is None:
            yield name
        else:
            for head in range(opened.translator.model.config.num_heads):
                yield f"{name}?head={head}"


def _around(record: TraceRecord, of_model: str) -> Iterator[str]:
    """Yield what the softmax view uses: the vocabulary, and the output rows of the best candidates."""
    yield f"{of_model}/vocabulary/target"
    predictions = record.trace.predictions
    if predictions is not None:
        best = {int(index) for index in predictions.top_ids[:, :_TOP_SHOWN].ravel()}
        for index in sorted(best | set(record.trace.tokens.predicted_ids)):
            yield f"{of_model}/rows/output?ids={index}"


def _tables(trace: Trace, config: ModelConfig, of_model: str) -> Iterator[str]:
    length = min(_POSITIONS_SHOWN, config.max_positions)
    has_sinusoids = config.d_model % 2 == 0 and config.d_model >= 4
    layouts = [layout for layout in PositionLayout if has_sinusoids and layout is not PositionLayout.LEARNED]
    for layout in dict.fromkeys([config.position_layout, *layouts]):
        yield f"{of_model}/positions?layout={layout}&length={length}"
    tokens = trace.tokens
    for side, ids in (("source", tokens.source_ids), ("target", (*tokens.fed_ids, *tokens.predicted_ids))):
        for index in sorted({index for index in ids if index >= 0}):
            yield f"{of_model}/neighbours/{side}/{index}"
    for stack, depth in (("encoder", config.num_encoder_layers), ("decoder", config.num_decoder_layers)):
        sublayers = ["self_attention", "feed_forward"] + ["cross_attention"] * (stack == "decoder")
        for layer in range(depth):
            for name in sublayers:
                for part in ("weight", "bias"):
                    yield f"{of_model}/weights/{stack}.layers.{layer}.{name}_norm.{part}"


def _shares(trace: Trace, places: Sequence[str], of_trace: str) -> Iterator[str]:
    for place in places:
        yield f"{of_trace}/shares/{place}"
        for row in range(trace[f"{place}.weights"].shape[1]):
            yield f"{of_trace}/shares/{place}?row={row}"


def _ask(record: TraceRecord, opened: OpenedModel, path: str) -> Answer:
    """Answer a path as the server would."""
    address, _, query = path.partition("?")
    _, kind, _, *rest = address.split("/", 3)
    parts = dict(parse_qsl(query))
    if kind == "models":
        return model_answer(opened, "/".join(rest), parts)
    return trace_answer(record, "/".join(rest), parts)


def _size(item: tuple[str, Answer]) -> int:
    """Return the bytes of an answer in the file, with its element."""
    path, answer = item
    content = len(answer.body) if answer.shape is None else -(-len(answer.body) // 3) * 4
    return content + len(path) + 100
