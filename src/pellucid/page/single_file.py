"""What the single file carries: the answers to what its page will ask, within a budget of bytes.

The page asks the same paths as of a server. Which of them are worth carrying is decided here, in parts: what comes
first is always there, a later part is left out whole where it does not fit, and what is left out is said. The page
says of everything else that it needs the server. Read ``assembly.py`` next, which makes the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from pellucid.config import ModelConfig, PositionLayout
from pellucid.durable import DISK, refuse_full_disk
from pellucid.errors import DataError, RequestError
from pellucid.page.answers import Answer, json_answer
from pellucid.page.answers_model import model_answer
from pellucid.page.answers_trace import TraceRecord, trace_answer
from pellucid.page.assembly import standalone_page, web_files
from pellucid.page.catalogue import OpenedModel, open_model
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, Level, refuse_outside
from pellucid.version import __version__

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
"""Of a file, unless its maker says otherwise: what a browser opens without a pause."""
WEIGHTS: Final = ("none", "layer", "all")
_POSITIONS_SHOWN: Final = 64
_TOP_SHOWN: Final = 10


@dataclass(frozen=True)
class StartView:
    """What the page opens with; what is left out is the page's own choice."""

    view: str | None = None
    kind: str | None = None
    """``encoder``, ``decoder`` or ``cross``."""
    layer: int | None = None
    heads: Sequence[int] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    """Further parts of an address, such as ``query``."""

    def address(self) -> str:
        """Return it as it stands in an address after ``#``."""
        parts = {
            "view": self.view,
            "kind": self.kind,
            "layer": self.layer,
            "heads": ",".join(map(str, self.heads)) or None,
            **self.more,
        }
        return urlencode({name: value for name, value in parts.items() if value is not None}, safe=",")

    def checked(self, config: ModelConfig) -> StartView:
        """Return this view, its kind by the short name, if a model has it.

        Raises:
            RequestError: there is no such view, kind, layer or head.
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
    """The page as one file, and what it does not carry, in words."""

    html: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """Answers that are carried together or not at all."""

    name: str
    paths: Callable[[], Iterable[str]]
    least_bytes: int = 0
    """Known before anything is computed."""
    is_wanted: bool = True


def view_names() -> tuple[str, ...]:
    """Return the names of the views in the order of the page, read off the page itself."""
    source = web_files()["modules/views.js"].decode()
    return tuple(re.findall(r"\{name: \"(\w+)\"", source))


def record_of(trace: Trace, opened: OpenedModel | None = None) -> TraceRecord:
    """Return a whole trace with the model that made it, named for a page; the id is of its content.

    Raises:
        RequestError: the model is not at hand.
    """
    if trace.translator is None:
        raise RequestError(
            "a page shows the model's weights and vocabulary too, and this trace has no model at hand; "
            "give it with trace.attach(translator)"
        )
    whole = trace if trace.level is Level.FULL else trace.at_level("full")
    record = TraceRecord(id="", trace=whole, opened=opened or open_model(trace.translator))
    return replace(record, id=record.sha256[:16])


def write_page(
    trace: Trace,
    path: Path,
    *,
    opened: OpenedModel | None = None,
    start: StartView | None = None,
    weights: str | None = None,
    largest_bytes: int = LARGEST_BYTES,
) -> tuple[str, ...]:
    """Write the page of a trace to a file, whole or not at all; return what it leaves out.

    Raises:
        RequestError: see ``single_file``.
        DataError: the file cannot be written there.
        StoppedError: the disk is full.
    """
    if path.is_dir():
        raise DataError(f"{path}: cannot be written: it is a folder")
    made = single_file(record_of(trace, opened), start=start, weights=weights, largest_bytes=largest_bytes)
    content = made.html.encode()
    try:
        with refuse_full_disk(path.parent, needed_bytes=len(content)):
            DISK.write_replacing(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None
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
        start: what it opens with.
        weights: of the attentions and feed-forward networks, which their views multiply with: ``none``, those of the
            ``layer`` it opens with, or ``all``; None is as many as fit.
        largest_bytes: of the file. The first part is always there, however large.
        modules: what the page runs.

    Raises:
        RequestError: something of the start or ``weights`` does not exist, or no model is at hand.
    """
    opened, config = record.opened, record.trace.provenance.configuration
    if opened is None or config is None:
        raise RequestError("a page needs the model of the trace; give it with trace.attach(translator)")
    if weights not in (None, *WEIGHTS):
        raise RequestError(f"weights = {weights!r}; allowed are {', '.join(WEIGHTS)}")
    start = (start or StartView()).checked(config)
    # The one sentence there is to look at; and a snapshot cannot be opened from a file.
    opened = replace(opened, examples=(record.trace.source,))
    embedded = {"api/models": _only_model(opened)}
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

    manifest = [of_trace, f"{of_trace}/heads", f"{of_trace}/atlas", f"{of_trace}/changes", of_model]
    yield _Part("the attention of every head", lambda: [*manifest, *sites(attention)])
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
    """Name what the views multiply with: of the projections a head's part each, of everything else the whole."""
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
    """Name what the last step multiplies with: the vocabulary, and the output rows of the best candidates."""
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


def _only_model(opened: OpenedModel) -> Answer:
    """Answer ``api/models`` for this model alone, without its snapshots."""
    description = json.loads(model_answer(opened, "", {}).body)
    own = {name: description[name] for name in ("id", "name", "languages", "step", "examples", "is_walkthrough")}
    return json_answer({"models": [own | {"steps": []}], "version": __version__})


def _size(item: tuple[str, Answer]) -> int:
    """Return the bytes that an answer takes in the file, its element with it."""
    path, answer = item
    content = len(answer.body) if answer.shape is None else -(-len(answer.body) // 3) * 4
    return content + len(path) + 100
