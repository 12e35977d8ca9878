"""The sentence splitter of an Argos package: a small ONNX graph of rules, in the form that MiniSBD reads.

Argos splits text into sentences before it translates. Without a splitter in the package it
downloads one at the first translation, so ours contains one. Each character has a class; five characters in a row
decide whether a sentence ends at the middle one:

    . ! ? and a space, not followed by what cannot begin a sentence         "Ja. Nein."
    the same with a closing mark between                                    "(Ja.) Nein."
    a full-width mark, no closing mark after it; or with one                "はい。「いいえ。」はい。"
    not after an initial or a number                                        "J. Smith", "am 3. Mai"

A graph has inputs ``units`` [rows, characters] int64 and ``features`` [rows, characters, 1] float32 (1 at the first
character) and one output [rows, characters, 3]: scores of no end, end of a word, end of a sentence. Settings
and characters are JSON in the metadata. Read ``package.py`` next.
"""

from __future__ import annotations

import importlib
import itertools
import json
import unicodedata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.interop.packages import refuse_without

__all__ = ["sentences_of", "splitter"]

_MARKS: Final = "!?…‼⁇⁈⁉؟۔।॥։።፧၊။។៕"
_CLOSING: Final = "\"'”’»›)]}」』）】"
_WIDE: Final = "。！？｡．"
_NO_BEGINNING: Final = ",;:%&/*+=،؛、，；："
_SPECIALS: Final = ("<PAD>", "<UNK>")
_OPSET: Final = 17
_IR_VERSION: Final = 8

# The channels of a character; the last is the feature "first of the paragraph".
_MARK, _CLOSE, _SPACE, _LOW, _BROAD, _HIGH, _DIGIT, _DOT, _FIRST = range(9)
_CLASSES: Final = _FIRST

# A rule: how much each channel at each place (-2 ... 2) must add up to more than; then what the rule is worth.
_RULES: Final[tuple[tuple[dict[tuple[int, int], float], float, float], ...]] = (
    ({(_MARK, 0): 1, (_SPACE, 1): 1, (_LOW, 2): -1}, 1, 1),
    ({(_MARK, -1): 1, (_CLOSE, 0): 1, (_SPACE, 1): 1, (_LOW, 2): -1}, 2, 1),
    ({(_BROAD, 0): 1, (_CLOSE, 1): -1, (_BROAD, 1): -1}, 0, 1),
    ({(_BROAD, -1): 1, (_CLOSE, 0): 1, (_CLOSE, 1): -1}, 1, 1),
    ({(_DOT, 0): 1, (_HIGH, -1): 1, (_SPACE, -2): 1}, 2, -2),
    ({(_DOT, 0): 1, (_HIGH, -1): 1, (_FIRST, -1): 1}, 2, -2),
    ({(_DOT, 0): 1, (_DIGIT, -1): 1}, 1, -2),
)


def splitter(language: str) -> bytes:
    """Return the ONNX file for a language code; the rules are the same for each.

    Raises:
        ConfigError: onnx is not installed.
    """
    refuse_without("onnx", "onnxruntime", extra="argos")
    onnx: Any = importlib.import_module("onnx")
    helper, numbers = onnx.helper, onnx.numpy_helper
    characters, table = _characters()
    rules, values = _weights()
    nodes = [
        helper.make_node("Gather", ["classes", "units"], ["class"]),
        helper.make_node("Concat", ["class", "features"], ["channels_last"], axis=2),
        helper.make_node("Transpose", ["channels_last"], ["channels"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["channels", "rules", "least"], ["sums"], kernel_shape=[5], pads=[2, 2]),
        helper.make_node("Relu", ["sums"], ["fired"]),
        helper.make_node("Conv", ["fired", "values", "doubt"], ["scores_first"], kernel_shape=[1]),
        helper.make_node("Transpose", ["scores_first"], ["scores"], perm=[0, 2, 1]),
    ]
    constants = {
        "classes": table,
        "rules": rules,
        "least": -np.array([least for _, least, _ in _RULES], dtype=np.float32),
        "values": values,
        "doubt": np.array([0, -1000, -0.5], dtype=np.float32),
    }
    shape = ["rows", "characters"]
    graph = helper.make_graph(
        nodes,
        "sentence_splitter",
        [
            helper.make_tensor_value_info("units", onnx.TensorProto.INT64, shape),
            helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [*shape, 1]),
        ],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [*shape, 3])],
        [numbers.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph, producer_name="pellucid", opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    helper.set_model_props(model, _metadata(language, characters))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def sentences_of(session: Any, text: str) -> list[str]:
    """Split a text of one line with an opened splitter (``onnxruntime.InferenceSession``), as MiniSBD does."""
    text = " ".join(text.split())
    if not text:
        return []
    metadata = session.get_modelmeta().custom_metadata_map
    ids = json.loads(metadata["vocab"])["_unit2id"]
    units = np.array([[*(ids.get(character, ids["<UNK>"]) for character in text), ids["<PAD>"]]], dtype=np.int64)
    features = np.zeros((*units.shape, 1), dtype=np.float32)
    features[0, 0] = 1
    ends = session.run(None, {"units": units, "features": features})[0][0].argmax(axis=1)[: len(text)]
    ends[-1] = 2
    places = [0, *(int(place) + 1 for place in np.flatnonzero(ends == 2))]
    return [text[a:b].strip() for a, b in itertools.pairwise(places)]


def _characters() -> tuple[list[str], NDArray[np.float32]]:
    """Return the characters that have a class, after the two specials, and the classes, [characters, channels]."""
    letters = [chr(code) for code in range(0x21, 0x590) if unicodedata.category(chr(code)) in ("Ll", "Lu")]
    digits = "0123456789"
    rest = dict.fromkeys([" ", ".", *_MARKS, *_CLOSING, *_WIDE, *_NO_BEGINNING, *digits, *letters])
    characters = [*_SPECIALS, *rest]
    table = np.zeros((len(characters), _CLASSES), dtype=np.float32)
    for row, character in enumerate(characters[len(_SPECIALS) :], start=len(_SPECIALS)):
        table[row, _SPACE] = character == " "
        table[row, _DOT] = character == "."
        table[row, _MARK] = character in _MARKS or character == "."
        table[row, _CLOSE] = character in _CLOSING
        table[row, _BROAD] = character in _WIDE
        table[row, _DIGIT] = character in digits
        table[row, _HIGH] = unicodedata.category(character) == "Lu"
        table[row, _LOW] = character != " " and (unicodedata.category(character) == "Ll" or character in _NO_BEGINNING)
    return characters, table


def _weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rules, [rules, channels, 5 places], and what they are worth, [3 scores, rules, 1]."""
    rules = np.zeros((len(_RULES), _CLASSES + 1, 5), dtype=np.float32)
    values = np.zeros((3, len(_RULES), 1), dtype=np.float32)
    for number, (parts, _, worth) in enumerate(_RULES):
        for (channel, place), weight in parts.items():
            rules[number, channel, place + 2] = weight
        values[2, number] = worth
    return rules, values


def _metadata(language: str, characters: list[str]) -> dict[str, str]:
    vocabulary = {
        "lang": language,
        "idx": 0,
        "cutoff": 0,
        "lower": False,
        "_unit2id": {character: number for number, character in enumerate(characters)},
        "_id2unit": characters,
    }
    settings = {
        "skip_newline": False,
        "max_seqlen": 1000,
        "no_ssplit": False,
        "batch_size": 1,
        "feat_funcs": ["start_of_para"],
        "use_dictionary": False,
        "num_dict_feat": 0,
    }
    return {
        "lang_code": language,
        "config": json.dumps(settings),
        "vocab": json.dumps(vocabulary, ensure_ascii=False),
        "lexicon": "null",
    }
