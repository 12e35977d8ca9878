"""The model that a run begins with: fresh weights, or those of a model, whose shape and tokenizer are kept then.

What a recipe asks for and that model is not is refused before anything is read or written. Its languages are those of
that model unless the recipe names others. Read ``train.py`` next.
"""

from __future__ import annotations

from pellucid.bundle import Bundle
from pellucid.config import PRESETS, ModelConfig, Recipe
from pellucid.errors import IncompatibleModelError
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import Tokenizer

__all__ = ["build_model", "refuse_other_model", "with_languages"]

_REGULARISATION = ("dropout", "attention_dropout", "activation_dropout")
"""Settings of ``[model]`` that change no shape, so a recipe may have its own."""


def refuse_other_model(recipe: Recipe, initial: Bundle | None) -> None:
    """Refuse a recipe that asks for another shape or tokenizer than those of the model to start from.

    Raises:
        IncompatibleModelError: it does; the message lists every such setting.
    """
    if initial is None:
        return
    asked = {f"model.{name}": pair for name, pair in _other_shape(recipe, _kept(recipe, initial)).items()}
    asked |= {f"tokenizer.{name}": pair for name, pair in _other_tokenizer(recipe, initial.tokenizer).items()}
    if asked:
        shown = ", ".join(f"{name} = {_plain(wanted)} (it has {_plain(has)})" for name, (wanted, has) in asked.items())
        raise IncompatibleModelError(
            f"{initial.folder}: training that starts from this model keeps its shape and its tokenizer, but the recipe "
            f"asks for {shown}; leave preset, [model] and [tokenizer] out, or train without --init-from"
        )


def with_languages(recipe: Recipe, initial: Bundle | None) -> tuple[Recipe, list[str]]:
    """Return the recipe with the languages of the model to start from where it names none, and what to say of it.

    Another language than the model's is a wish: a model may be taught one.
    """
    if initial is None:
        return recipe, []
    data = recipe.data
    its = {"src_lang": initial.description.source_language, "tgt_lang": initial.description.target_language}
    # A model that was trained without languages says "src" and "tgt", which is none.
    others = {
        name: code
        for name, code in its.items()
        if code not in (getattr(data, name), type(data).model_fields[name].default)
    }
    taken = {name: code for name, code in others.items() if name not in data.model_fields_set}
    said = [
        f"warning: {name} = {getattr(data, name)}, and the model to start from, {initial.folder}, is of {name} = {code}"
        "; training goes on with what was given"
        for name, code in others.items()
        if name not in taken
    ]
    if taken:
        told = ", ".join(f"{name} = {code}" for name, code in taken.items())
        said.append(f"languages: {told}, those of the model to start from, {initial.folder}")
    return recipe.model_copy(update={"data": data.model_copy(update=taken)}), said


def build_model(recipe: Recipe, tokenizer: Tokenizer, *, initial: Bundle | None) -> Transformer:
    """Return the model of a recipe with fresh weights, or with those of the model to start from.

    Raises:
        IncompatibleModelError: the recipe's model is not the one to start from.
    """
    if initial is None:
        return Transformer(
            recipe.model.with_vocabulary(
                source_size=tokenizer.source_vocab_size,
                target_size=tokenizer.target_vocab_size,
                specials=tokenizer.specials,
            )
        )
    refuse_other_model(recipe, initial)
    model = Transformer(_kept(recipe, initial))
    model.load_state_dict(initial.model.state_dict())
    return model


def _kept(recipe: Recipe, initial: Bundle) -> ModelConfig:
    own = {name: getattr(recipe.model, name) for name in _REGULARISATION}
    return initial.description.model.model_copy(update=own)


def _other_shape(recipe: Recipe, kept: ModelConfig) -> dict[str, tuple[object, object]]:
    # A preset that was not asked for fills sizes in, too; the model to start from goes before those.
    filled = {} if "preset" in recipe.model_fields_set else PRESETS[recipe.preset]
    asked = {name: (getattr(recipe.model, name), getattr(kept, name)) for name in sorted(recipe.model.model_fields_set)}
    return {name: pair for name, pair in asked.items() if pair[0] not in (pair[1], filled.get(name))}


def _other_tokenizer(recipe: Recipe, tokenizer: Tokenizer) -> dict[str, tuple[object, object]]:
    """Return the settings that cannot act and are not what the tokenizer is, with what it is."""
    config = recipe.tokenizer
    facts: dict[str, object] = {
        "kind": tokenizer.kind,
        "joint": tokenizer.joint,
        "lowercase": tokenizer.source.normaliser.lowercase,
        "vocab_size": tokenizer.target_vocab_size,
        **_learnt_with(tokenizer),
    }
    found = {}
    for name in sorted(config.model_fields_set):
        wanted, default = getattr(config, name), type(config).model_fields[name].default
        if name == "vocab_size" and wanted in ("auto", tokenizer.source_vocab_size):
            continue
        # What is at its default and is not known of the tokenizer asks for nothing.
        if wanted != facts.get(name, default):
            found[name] = (wanted, facts.get(name, "none that is known"))
    return found


def _learnt_with(tokenizer: Tokenizer) -> dict[str, object]:
    """Return the settings that the tokenizer recorded of itself."""
    options = tokenizer.training.get("options")
    first = options[0] if isinstance(options, list) and options and isinstance(options[0], dict) else {}
    found = {name: first[name] for name in ("model_type", "character_coverage", "byte_fallback") if name in first}
    if "input_sentence_size" in tokenizer.training:
        found["input_sentence_size"] = tokenizer.training["input_sentence_size"]
    return found


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
