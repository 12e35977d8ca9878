"""Two edits of a list that cannot act together are refused, and the sentence names both."""

from __future__ import annotations

from pathlib import Path

import pytest

import pellucid
from pellucid.errors import RequestError
from pellucid.sample.embedded import EMBEDDED_FOLDER
from pellucid.text.tokenizer import BytesTokenizer, load_tokenizer
from pellucid.tracing.editing.choices import BanPiece, ForcePiece, ids_of
from pellucid.tracing.editing.refusal import EditError
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, parse_edits
from pellucid.tracing.edits import AblateHead
from pellucid.tracing.making import trace

from .kit import make_translator

TRANSLATOR = make_translator()  # 1 encoder layer, 2 decoder layers, 3 heads
SAMPLE = Sample.of([("ein Hund", "a dog")])
HEAD = "decoder.1.cross_attention.head.2"
ROW = f"{HEAD}.row.0"
LIST = [
    # first, second, why
    ("step.1=a", "step.1=dog", "both force what the translation has at step 1"),
    ("word.0=zwei", "word.0=drop", "both change word 0"),
    ("positions=zero", "positions=half_split_t2t", "both replace the positions"),
    (f"{HEAD}=zero", f"{HEAD}=mean", "both replace the context of this head"),
    (f"{HEAD}=mean", f"{HEAD}=mean:sample", "both replace the context of this head"),
    (f"{HEAD}=mean", f"{ROW}=zero", "both replace the context of this head"),
    (f"{ROW}=mean", f"{ROW}=zero", "both replace the context of this head"),
    (f"{ROW}=1,0,0", f"{ROW}=0,1,0", "both set the weights of this row"),
    (f"{ROW}=1,0,0", f"{HEAD}=zero", f"replaces all that {ROW}=1,0,0 changes"),
    (f"{HEAD}=zero", f"{ROW}=1,0,0", f"would have no effect, because {HEAD}=zero replaces all that it changes"),
    (f"{ROW}=1,0,0", f"{ROW}=mean:sample", f"replaces all that {ROW}=1,0,0 changes"),
    ("encoder.0.feed_forward=zero", "encoder.0.feed_forward=mean", "both replace the output of this sub-layer"),
    ("encoder.0.self_attention=zero", "encoder.0.self_attention.head.1=mean", "would have no effect, because"),
    ("decoder.1.cross_attention=mean:sample", f"{ROW}=1,0,0", "would have no effect, because"),
    ("encoder.0.feed_forward.unit.1,2=zero", "encoder.0.feed_forward.unit.2,3=mean", "both replace unit 2"),
    ("decoder.0.feed_forward.unit.1=zero", "decoder.0.feed_forward=zero", "replaces all that decoder.0.feed_forward."),
    ("step.1=dog", "ban=dog", "which needs the piece '▁dog'"),
    ("ban=dog", "step.2=dog", "which needs the piece '▁dog'"),
]


@pytest.mark.parametrize(("first", "second", "why"), LIST)
def test_contradictions_are_refused(first: str, second: str, why: str) -> None:
    edits = parse_edits(f"{first};{second}", samples=[SAMPLE])
    with pytest.raises(EditError) as caught:
        trace(TRANSLATOR, "ein Hund", edits=edits)
    reason = str(caught.value)
    assert why in reason
    assert "leave one of the two out" in reason
    assert all(str(edit) in reason for edit in edits)
    assert len(caught.value.refused) == 1, "without it, the other can be applied"
    assert caught.value.refused[0][0] in edits


@pytest.mark.parametrize(
    "edits",
    [
        f"{HEAD}=zero; decoder.1.cross_attention.head.1=zero; decoder.0.cross_attention.head.2=mean",
        f"{HEAD}.row.0=zero; {HEAD}.row.1=mean",
        f"{ROW}=1,0,0; {HEAD}.row.1=zero",
        f"{ROW}=1,0,0; {HEAD}=mean",  # the mean is over weights that are edited
        f"decoder.1.cross_attention=mean; {HEAD}=zero",
        "decoder.1.cross_attention=zero; decoder.1.self_attention.head.2=zero; encoder.0.self_attention=zero",
        "encoder.0.feed_forward.unit.1=zero; decoder.0.feed_forward.unit.1=zero; encoder.0.feed_forward=mean",
        "step.1=a; step.2=dog; ban=runs; ban=rennt; word.0=zwei; positions=zero",
    ],
)
def test_edits_that_act_together_are_not(edits: str) -> None:
    made = trace(TRANSLATOR, "ein Hund", edits=parse_edits(edits))
    assert "; ".join(map(str, made.provenance.edits)).count("=") == edits.count("=")


def test_every_edit_but_the_first_is_refused_once() -> None:
    edits: list[Edit] = [AblateHead("decoder.cross_attention", 0, 0, mode) for mode in ("zero", "mean", SAMPLE)]
    with pytest.raises(EditError) as caught:
        trace(TRANSLATOR, "ein Hund", edits=edits)
    assert [edit for edit, _ in caught.value.refused] == edits[1:]


def test_a_text_of_several_pieces_takes_their_steps() -> None:
    letters = make_translator(BytesTokenizer())
    with pytest.raises(EditError, match=r'step\.1="x" contradicts step\.0="ab", which takes steps 0 to 1 with'):
        trace(letters, "ein Hund", edits=['step.0="ab"', 'step.1="x"'])
    with pytest.raises(EditError, match=r'ban="b" contradicts step\.0="ab", which needs the piece'):
        trace(letters, "ein Hund", edits=['ban="b"', 'step.0="ab"'])
    with pytest.raises(EditError, match=r'ban="<0x62>" bans the same piece as ban="b"'):
        trace(letters, "ein Hund", edits=['ban="b"', 'ban="<0x62>"'])
    assert trace(letters, "ein Hund", edits=['step.0="ab"', 'step.2="x"']).text.startswith("abx")


def test_a_word_that_is_no_piece_joins_as_its_text_says(tmp_path: Path) -> None:
    """Quotes name the text exactly: without a space at its beginning it continues the word before it."""
    tokenizer = load_tokenizer(EMBEDDED_FOLDER / "tokenizer")
    for text in ("ellexyz", "▁ellexyz", "▁elle va", "abc,def", "'il", "🦆"):
        ids = ids_of(ForcePiece(0, text), tokenizer)
        (before,) = tokenizer.encode_target(["Je crois qu'"])
        written = tokenizer.decode_target([[*before, *ids]])[0]
        assert written == "Je crois qu'" + text.replace("▁", " ")
    with pytest.raises(RequestError, match=r"is no piece of the vocabulary, which writes it with \d pieces .* ban one"):
        ids_of(BanPiece("ellexyz"), tokenizer)


def test_the_effect_says_how_such_a_word_is_written() -> None:
    letters = make_translator(BytesTokenizer())
    effect = pellucid.Trace.of(trace(letters, "ein Hund")).edit('step.0="ab"', 'step.2="<0x63>"')
    assert effect.written == {effect.edits[0]: ("<0x61>", "<0x62>")}
    told = str(effect).splitlines()
    assert told[0] == "edit    step.0=\"ab\" (no piece of the vocabulary; written with 2 pieces: '<0x61>', '<0x62>')"
    assert told[1] == 'edit    step.2="<0x63>"'
