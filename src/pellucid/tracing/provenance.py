"""Where a trace comes from, in enough detail to make it again. Read ``file.py`` next."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from weakref import WeakKeyDictionary

import numpy as np
import torch
from safetensors.torch import save

from pellucid.config import ModelConfig, TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, edit_list
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["Provenance", "provenance_of", "searched_with", "weights_sha256"]

_SHA256: WeakKeyDictionary[Transformer, tuple[object, str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Provenance:
    """What made a trace. For a trace of arrays from another model everything is None or empty."""

    model_folder: str | None = None
    """Where the model was read from, as given; None if it was built in memory."""
    weights_sha256: str | None = None
    """Of the weights in memory as a safetensors file: equal to that of the file in the model folder, unless the weights
    were changed or the folder stores another number format."""
    weights_dtype: str | None = None
    """Number format of the weights in the model folder if it is not float32: they were rounded to it."""
    step: int | None = None
    """Training step, if the model folder has it; for averaged weights, the last step of the average."""
    configuration: ModelConfig | None = None
    tokenizer_fingerprint: str | None = None
    source_language: str | None = None
    target_language: str | None = None
    dtype: str | None = None
    """Number format of the computation; bfloat16 and float16 are stored as float32."""
    device: str | None = None
    search: TranslationConfig | None = None
    """Settings of the search; None if the target was given."""
    edits: tuple[Edit, ...] = ()
    edited_from: str | None = None
    """The sentence before edits of its words; None if no word was edited."""
    libraries: Mapping[str, str] = field(default_factory=dict)

    def to_table(self) -> dict[str, object]:
        """Return all fields, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "configuration": self.configuration.model_dump(mode="json") if self.configuration else None,
            "search": _search_table(self.search) if self.search else None,
            "edits": [str(edit) for edit in self.edits],
            "samples": {sample.sha256: sample.pairs for sample in _samples_of(self.edits)},
            "libraries": dict(self.libraries),
        }

    @staticmethod
    def from_table(table: Mapping[str, object]) -> Provenance:
        """Return the provenance that ``to_table`` wrote.

        Raises:
            TypeError: a field is unknown.
            ValueError: a field is wrong.
            RequestError: an edit is wrong.
        """
        given = dict(table)
        for name, kind in (("configuration", ModelConfig), ("search", TranslationConfig)):
            if given.get(name) is not None:
                given[name] = kind.model_validate(given[name])
        samples, edits = given.pop("samples", {}), given.get("edits", ())
        if not isinstance(samples, Mapping):
            raise ValueError(f"samples = {samples!r}; it must be a table of lists of pairs")
        if not isinstance(edits, list | tuple) or not all(isinstance(edit, str) for edit in edits):
            raise ValueError(f"edits = {edits!r}; it must be a list of texts; older traces with edits cannot be read")
        given["edits"] = edit_list(edits, samples=[Sample.of(pairs) for pairs in samples.values()])
        return Provenance(**given)  # type: ignore[arg-type]


def _samples_of(edits: tuple[Edit, ...]) -> tuple[Sample, ...]:
    modes = (getattr(edit, "mode", None) for edit in edits)
    return tuple(dict.fromkeys(mode for mode in modes if isinstance(mode, Sample)))


def provenance_of(
    translator: Translator, *, edits: tuple[Edit, ...], is_searched: bool, edited_from: str | None = None
) -> Provenance:
    """Describe a translator of one model, its search and its edits."""
    model, origin = translator.model, translator.origin
    step = origin.description.facts.get("step") if origin else None
    parameter = next(model.parameters())
    return Provenance(
        model_folder=str(origin.folder) if origin else None,
        weights_sha256=weights_sha256(model),
        weights_dtype=origin.description.weights_dtype if origin else None,
        step=step if isinstance(step, int) else None,
        configuration=ModelConfig.model_validate(model.config.model_dump(mode="json")),
        tokenizer_fingerprint=translator.tokenizer.fingerprint,
        source_language=translator.source_language,
        target_language=translator.target_language,
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        search=searched_with(translator.config) if is_searched else None,
        edits=edits,
        edited_from=edited_from,
        libraries={
            "pellucid": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )


def weights_sha256(model: Transformer) -> str:
    """Return the SHA-256 of the weights as a model folder stores them; computed again only after a change."""
    state = model.state_dict()
    stamp = tuple((t.data_ptr(), t.dtype, 0 if t.is_inference() else t._version) for t in state.values())
    known = _SHA256.get(model)
    if known is not None and known[0] == stamp:
        return known[1]
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    digest = hashlib.sha256(content).hexdigest()
    _SHA256[model] = (stamp, digest)
    return digest


def searched_with(config: TranslationConfig) -> TranslationConfig:
    """Return the settings of a search as a provenance has them, all of them set."""
    return TranslationConfig.model_validate(_search_table(config))


def _search_table(config: TranslationConfig) -> dict[str, object]:
    """Return all settings; without the beam size for ``sampling``, which does not accept one."""
    table = config.model_dump(mode="json")
    if config.sampling:
        del table["beam_size"]
    return table
