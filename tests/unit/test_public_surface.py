"""``import pellucid`` gives the promised names, each from its home."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pellucid
from pellucid.config import ModelConfig
from pellucid.errors import RequestError
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.translator import Translator


@pytest.mark.parametrize("name", pellucid.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pellucid, name) is not None
    assert name in dir(pellucid)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="transalte"):
        pellucid.transalte  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(pellucid.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(pellucid.__all__)


def translator() -> Translator:
    tokenizer = BytesTokenizer()
    shape = ModelConfig(d_model=6, num_heads=3, d_feedforward=7, num_encoder_layers=1, num_decoder_layers=1)
    sizes = {"source_size": tokenizer.source_vocab_size, "target_size": tokenizer.target_vocab_size}
    torch.manual_seed(1)
    return Translator(Transformer(shape.with_vocabulary(**sizes, specials=tokenizer.specials)).eval(), tokenizer)


TRANSLATOR = translator()
RECIPE = pellucid.Recipe()
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: pellucid.load(None), "pellucid.load: path = None is of type NoneType; give str or Path"),
    (lambda: pellucid.load(), "pellucid.load: missing a required argument: 'path'; it takes path, device, threads"),
    (lambda: pellucid.load("m", threads="2"), "pellucid.load: threads = '2' is of type str; give int"),
    (
        lambda: pellucid.load("m", thread=2),
        "got an unexpected keyword argument 'thread'; it takes path, device, threads",
    ),
    (lambda: pellucid.train({}, "x"), "recipe = {} is of type dict; give Recipe, which pellucid.load_recipe returns"),
    (lambda: pellucid.train(RECIPE, None), "pellucid.train: output = None is of type NoneType; give str or Path"),
    (lambda: pellucid.train(RECIPE, "x", init_from=7), "init_from = 7 is of type int; give str or Path or None"),
    (lambda: pellucid.train(RECIPE, "x", say="yes"), "say = 'yes' is of type str; give Callable"),
    (lambda: pellucid.load_recipe(3), "pellucid.load_recipe: path = 3 is of type int; give str or Path"),
    (lambda: pellucid.load_recipe("x", "a=1"), "settings = 'a=1' is of type str; give list or tuple"),
    (
        lambda: pellucid.trace(3),
        "pellucid.trace: missing a required argument: 'text'; it takes translator, text, edits",
    ),
    (lambda: pellucid.trace(3, "x"), "translator = 3 is of type int; give Translator, which pellucid.load returns"),
    (lambda: pellucid.trace("m" * 99, "x"), f"translator = '{'m' * 56}... is of type str; give Translator"),
    (lambda: pellucid.trace(TRANSLATOR, ["x"]), "pellucid.trace: text = ['x'] is of type list; give str"),
    (lambda: pellucid.trace(TRANSLATOR, "x", edits=3), "edits = 3 is of type int; give list or tuple"),
    (lambda: pellucid.trace(TRANSLATOR, "x", level=0), "level = 0 is of type int; give str"),
    (lambda: pellucid.trace(TRANSLATOR, "x", target=0), "target = 0 is of type int; give str or None"),
    (lambda: TRANSLATOR.translate(None), "texts is of type NoneType; give a str or a list of str"),
    (lambda: TRANSLATOR.translate([1]), "texts[0] is of type int; give str"),
    (lambda: TRANSLATOR.translate({"a": "b"}), "texts is of type dict; give a str or a list of str"),
    (lambda: TRANSLATOR.translate(str(i) for i in range(2)), "texts is of type generator; give a str or a list of str"),
    (lambda: TRANSLATOR.translate(b"x"), "texts is of type bytes; give a str or a list of str"),
    (lambda: TRANSLATOR.translate_stream(None), "texts is of type NoneType; give a list or a generator of str"),
    (lambda: list(TRANSLATOR.translate_stream(["", "", 3], chunk=2)), "texts[2] is of type int; give str"),
    (lambda: TRANSLATOR.score("a", ["b"]), "sources is of type str; give a list of str"),
    (lambda: TRANSLATOR.score(["a"], [None]), "targets[0] is of type NoneType; give str"),
]


@pytest.mark.parametrize(("call", "told"), WRONG, ids=[told for _, told in WRONG])
def test_an_argument_of_another_type_is_refused_in_a_sentence(call: Callable[[], Any], told: str) -> None:
    with pytest.raises(RequestError, match=re.escape(told)):
        call()


def test_what_keeps_texts_in_order_is_a_list_of_them() -> None:
    found = [TRANSLATOR.translate(texts, max_length_constant=2) for texts in (["a", None], ("a", None))]
    assert found[0] == found[1]
    assert found[0][1].error


def test_a_checked_function_is_still_itself() -> None:
    assert pellucid.trace.__doc__.startswith("Record what a translator's model does")
    assert pellucid.load.__name__ == "load"
