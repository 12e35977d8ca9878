"""Text in is text out, specials never come from text, sizes are what was said, and folders are checked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from pellucid.config import SpecialIds, TokenizerConfig
from pellucid.errors import BundleError, ConfigError, DataError, RequestError
from pellucid.text.corpus import SentencePair
from pellucid.text.normalisation import Normaliser
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer, load_tokenizer

from .conftest import PAIRS, learn

HOSTILE = [
    "",
    " ",
    "   two  spaces and a tail  ",
    "<s> </s> <pad> <unk> <0x41> >>fr<<",
    "\x00\x01\t\n\r\x7f\x85\u2028\u2029",
    "\u2581 marks \u2581\u2581 of SentencePiece \u2585 \u2047",
    "\u00a0no-break\u202f!\u3000\uff0c\uff01",
    "שלום \u202eעולם\u202c مرحبا",
    "e\u0301 \u1e9b\u0323 \u0301 क्षि",
    "👩‍👩‍👧‍👦🏳️‍🌈 \U0010ffff\ufffe\ufffd",
    "x" * 5000,
]


@pytest.mark.parametrize(
    "config",
    [
        TokenizerConfig(),
        TokenizerConfig(model_type="bpe", lowercase=True),
        TokenizerConfig(joint=False),
        TokenizerConfig(kind="bytes"),
    ],
    ids=["unigram", "bpe", "separate", "bytes"],
)
def test_decoding_gives_back_the_normalised_text(config: TokenizerConfig) -> None:
    tokenizer = learn(config)
    normalise = Normaliser(lowercase=config.lowercase)
    texts = HOSTILE + [pair.target for pair in PAIRS[:97]]
    ids = tokenizer.encode_target(texts)
    assert tokenizer.decode_target(ids) == [normalise(text) for text in texts]
    assert tokenizer.decode_source(tokenizer.encode_source(texts)) == [normalise(text) for text in texts]
    assert tokenizer.specials.unk not in chain(*ids)


def test_text_never_becomes_a_special_id(tokenizer: Tokenizer) -> None:
    specials = set(tokenizer.specials.model_dump().values())
    literal = "<s></s><pad><unk> <s> </s> <pad> <unk> \u2047"
    for rows in (tokenizer.encode_source([literal, *HOSTILE]), tokenizer.encode_target([literal, *HOSTILE])):
        assert all(specials.isdisjoint(row) for row in rows)


def test_special_words_in_the_training_text_stay_words() -> None:
    text = "<s> </s> <pad> <unk> <0x41> \u2581\u2585\t\x00 wort"
    tokenizer = learn(TokenizerConfig(), [SentencePair(text, text, i, 0) for i in range(101)])
    assert {0, 1, 2, 3}.isdisjoint(tokenizer.encode_source([text])[0])
    shown = "<s> </s> <pad> <unk> <0x41> \u2581\u2585 wort"
    assert tokenizer.decode_source(tokenizer.encode_source([text])) == [shown]


def test_a_batch_is_its_rows_alone(tokenizer: Tokenizer) -> None:
    alone = [tokenizer.encode_source([text])[0] for text in HOSTILE]
    assert tokenizer.encode_source(HOSTILE) == alone


def test_a_lone_surrogate_is_a_request_error(tokenizer: Tokenizer) -> None:
    for encode in (tokenizer.encode_source, tokenizer.encode_target, BytesTokenizer().encode_source):
        with pytest.raises(RequestError, match="text 1: character 2 is the lone surrogate U\\+D800"):
            encode(["gut", "ab\ud800"])


def test_specials_are_skipped_named_and_numbered_as_asked() -> None:
    specials = SpecialIds(pad=7, unk=2, bos=0, eos=5)
    tokenizer = learn(TokenizerConfig(), specials=specials)
    assert tokenizer.source_pieces([7, 2, 0, 5]) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokenizer.target_id("</s>") == 5
    assert tokenizer.source_id("no such piece") is None
    text = PAIRS[0].target
    (ids,) = tokenizer.encode_target([text])
    assert tokenizer.decode_target([[0, *ids, 5, 7, 7]]) == [text]
    assert tokenizer.decode_target([[2]]) == ["\u2047"], "what is lost is shown"
    assert [tokenizer.target_id(piece) for piece in tokenizer.target_pieces(ids)] == ids


def test_shared_special_ids_are_one_piece() -> None:
    tokenizer = BytesTokenizer(specials=SpecialIds(pad=258, unk=1, bos=0, eos=0))
    assert tokenizer.source_vocab_size == 259
    assert tokenizer.source_pieces([0, 1, 258]) == ["<s>", "<unk>", "<pad>"]
    with pytest.raises(BundleError, match="leave a gap"):
        BytesTokenizer(specials=SpecialIds(pad=9999))


def test_ids_outside_the_vocabulary_and_broken_bytes(tokenizer: Tokenizer) -> None:
    for wrong in (-1, tokenizer.target_vocab_size):
        with pytest.raises(RequestError, match=f"piece id {wrong} is outside"):
            tokenizer.decode_target([[5, wrong]])
    with pytest.raises(IndexError):
        tokenizer.source_pieces([-1])
    half = [tokenizer.target_id("<0xC3>") or 0]
    assert tokenizer.decode_target([half]) == ["\ufffd"]


def test_tags_lead_the_source_and_only_the_source() -> None:
    tokenizer = learn(TokenizerConfig(), tags=(">>fr<<", ">>de<<"))
    tag = tokenizer.source_id(">>de<<")
    assert tag == 5
    (plain,) = tokenizer.encode_source(["ein satz"])
    assert tokenizer.encode_source([">>de<< ein satz", ">>de<<ein satz"]) == [[tag, *plain]] * 2
    oddly = [" >>de<< ein satz", "\ufeff>>de<<  ein satz ", "\u00a0\t>>de<<\u00a0ein satz"]
    assert tokenizer.encode_source(oddly) == [[tag, *plain]] * 3
    assert tokenizer.source_tags == (">>fr<<", ">>de<<")
    assert tokenizer.split_tag("\u200b >>de<< ein satz") == (">>de<<", " ein satz")
    assert tokenizer.split_tag(" ein >>de<< satz") == ("", " ein >>de<< satz")
    for text in (">>it<< ein satz", "ein >>de<< satz"):
        assert tag not in tokenizer.encode_source([text])[0]
    assert tag not in tokenizer.encode_target([">>de<< ein satz"])[0]
    assert tokenizer.decode_target(tokenizer.encode_target([">>de<< ein satz"])) == [">>de<< ein satz"]


def test_the_longer_of_two_tags_is_meant() -> None:
    tokenizer = BytesTokenizer(tags=("<2pt", "<2pt_BR>", "<2"))
    assert [tokenizer.split_tag(f"{tag}x") for tag in ("<2pt", "<2pt_BR>", "<2")] == [
        ("<2pt", "x"),
        ("<2pt_BR>", "x"),
        ("<2", "x"),
    ]


def test_learning_is_a_function_of_text_settings_seed_and_threads() -> None:
    config = TokenizerConfig(input_sentence_size=307)
    first, again, other = learn(config), learn(config), learn(config, seed=2)
    assert first.source.segmenter is not None
    assert again.source.segmenter is not None
    assert first.source.segmenter.model == again.source.segmenter.model
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.choices[0].num_sentences == 307


def test_a_large_enough_corpus_gives_the_size_that_is_asked_for() -> None:
    joint = learn(TokenizerConfig(vocab_size=503))
    assert (joint.source_vocab_size, joint.target_vocab_size, joint.joint) == (503, 503, True)
    separate = learn(TokenizerConfig(vocab_size=401, joint=False))
    assert (separate.source_vocab_size, separate.target_vocab_size, separate.joint) == (401, 401, False)
    assert [(c.side, c.requested, c.used, c.reason) for c in separate.choices] == [
        ("source", 401, 401, "the setting tokenizer.vocab_size"),
        ("target", 401, 401, "the setting tokenizer.vocab_size"),
    ]


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_an_impossible_size_names_the_largest_that_works(model_type: str) -> None:
    with pytest.raises(ConfigError, match="is too large for") as caught:
        learn(TokenizerConfig(vocab_size=30_011, model_type=model_type))  # type: ignore[arg-type]
    largest = int(str(caught.value).partition("use at most ")[2].partition(",")[0])
    assert learn(TokenizerConfig(vocab_size=largest, model_type=model_type)).source_vocab_size == largest  # type: ignore[arg-type]


def test_an_absurd_size_is_refused_before_the_trainer_sees_it() -> None:
    with pytest.raises(ConfigError, match="vocab_size = 2147483647 is over the limit"):
        learn(TokenizerConfig(vocab_size=2**31 - 1))


def test_a_size_below_the_alphabet_names_the_smallest_that_works() -> None:
    with pytest.raises(ConfigError, match="the alphabet alone needs") as caught:
        learn(TokenizerConfig(vocab_size=101))
    smallest = int(str(caught.value).partition("alone needs ")[2].partition(" ")[0])
    assert learn(TokenizerConfig(vocab_size=smallest)).source_vocab_size == smallest
    with pytest.raises(ConfigError):
        learn(TokenizerConfig(vocab_size=smallest - 1))


def test_auto_shrinks_and_says_so() -> None:
    (choice,) = learn(TokenizerConfig()).choices
    assert (choice.side, choice.requested, choice.num_sentences) == ("joint", "auto", 2 * len(PAIRS))
    assert choice.used < 8000
    assert f"{choice.used} is the largest size" in choice.reason


def test_auto_grows_for_a_large_alphabet_and_says_so() -> None:
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 8209)]
    rows = ["".join(characters[i : i + 10]) for i in range(0, len(characters), 5)]
    config = TokenizerConfig(character_coverage=1.0)
    tokenizer = learn(config, [SentencePair(row, row, i, 0) for i, row in enumerate(rows)])
    assert tokenizer.source_vocab_size > 8209
    assert "the alphabet alone needs" in tokenizer.choices[0].reason


@pytest.mark.parametrize(
    "text", [None, "", "  ", "\x00\t\n", "\u2581\u2585", "\ue000", "\u3000", "\u2028 \u2029", "\ufeff"]
)
def test_no_text_is_said_before_the_trainer_sees_it(text: str | None) -> None:
    rows = [] if text is None else [SentencePair(text, text, 0, 0)]
    with pytest.raises(DataError, match="no text to train a tokenizer on"):
        learn(TokenizerConfig(), rows)


def test_odd_text_does_not_bring_the_trainer_down() -> None:
    # In a process of its own: an abort in C++ would take the test run with it.
    program = """
from pellucid.config import TokenizerConfig
from pellucid.text.corpus import SentencePair
from pellucid.text.normalisation import Normaliser
from pellucid.text.tokenizer import train_tokenizer

odd = ["a", "\\u4e00\\u3000", "a\\x00b", "x" * 200_000, "<s>", "9" * 70_000]
odd += ["\\u0301", "\\U0001f44d", "a\\u2028 b\\u2029"]
for text in odd:
    for kind in ("unigram", "bpe"):
        pair = SentencePair(text, text, 0, 0)
        tokenizer = train_tokenizer(lambda: [pair], TokenizerConfig(model_type=kind), seed=1, threads=1)
        assert tokenizer.decode_target(tokenizer.encode_target([text])) == [Normaliser()(text)], (kind, text[:9])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_long_lines_are_cut_for_learning_and_not_lost() -> None:
    line = " ".join(pair.source for pair in PAIRS)
    tokenizer = learn(TokenizerConfig(), [SentencePair(line, line, 0, 0)])
    assert tokenizer.choices[0].num_sentences > 2 * len(line) // 4096
    rate = [
        len(ids) / len(PAIRS)
        for ids in (learn(TokenizerConfig()).encode_source([line])[0], tokenizer.encode_source([line])[0])
    ]
    assert rate[1] < 1.1 * rate[0]


def test_a_tokenizer_comes_back_from_its_folder(tmp_path: Path) -> None:
    for number, config in enumerate(
        (TokenizerConfig(lowercase=True), TokenizerConfig(joint=False), TokenizerConfig(kind="bytes"))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        tokenizer = learn(config, tags=(">>fr<<",))
        assert sorted(tokenizer.save(folder)) == sorted(path.name for path in folder.iterdir())
        back = load_tokenizer(folder)
        assert back.fingerprint == tokenizer.fingerprint
        assert back.encode_source(HOSTILE) == tokenizer.encode_source(HOSTILE)
        assert (back.kind, back.joint, back.choices, back.training) == (
            tokenizer.kind,
            tokenizer.joint,
            tokenizer.choices,
            tokenizer.training,
        )
        assert vars(back.target.vocabulary) == vars(tokenizer.target.vocabulary)


def test_every_trainer_option_is_written_down(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(tmp_path)
    training = json.loads((tmp_path / "tokenizer.json").read_text())["training"]
    assert {"seed", "threads", "sentencepiece"} <= set(training)
    assert {"vocab_size", "normalization_rule_name", "byte_fallback", "character_coverage"} <= set(
        training["options"][0]
    )


def spoil(folder: Path, **changes: object) -> None:
    path = folder / "tokenizer.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | changes))


def reseal(folder: Path) -> None:
    """Write the digests anew, so that only the deeper checks can find what is wrong."""
    import hashlib

    table = json.loads((folder / "tokenizer.json").read_text())
    spoil(folder, sha256={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in table["sha256"]})


def vocabulary_change(folder: Path, change: str) -> None:
    path = folder / "vocabulary.json"
    table: dict[str, int] = json.loads(path.read_text())
    if change == "missing":
        table.popitem()
    elif change == "renamed":
        table["neu"] = table.pop(next(p for p, i in table.items() if i == 300))
    elif change == "gap":
        table["neu"] = 99_999
    path.write_text("[]" if change == "list" else json.dumps(table))
    reseal(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json: cannot be read"),
        (lambda d: (d / "tokenizer.json").write_text("{"), "tokenizer.json: is not JSON"),
        (lambda d: (d / "tokenizer.json").write_text("[]"), "is not a pellucid tokenizer"),
        (lambda d: spoil(d, format_version=2), "format_version = 2"),
        (lambda d: spoil(d, kind="words"), "kind = 'words'"),
        (lambda d: spoil(d, normaliser="nfkd"), "normaliser = 'nfkd'"),
        (lambda d: spoil(d, specials={"pad": 0, "unk": 0}), "specials"),
        (lambda d: spoil(d, specials={"pad": 0, "unk": 1, "bos": 2, "eos": 99_999}), "eos = 99999 is outside"),
        (lambda d: spoil(d, tags=[3]), "tags"),
        (lambda d: spoil(d, tags=[">>xx<<"]), ">>xx<<"),
        (lambda d: spoil(d, files={}), "lists no files"),
        (
            lambda d: spoil(d, files={"source": {"vocabulary": "../vocabulary.json", "segmenter": "x"}}),
            "must be a file name without a folder",
        ),
        (lambda d: (d / "sentencepiece.model").unlink(), "sentencepiece.model: cannot be read"),
        (lambda d: (d / "sentencepiece.model").write_bytes(b"x"), "has another SHA-256"),
        (lambda d: ((d / "sentencepiece.model").write_bytes(b""), reseal(d)), "has 0 bytes"),
        (
            lambda d: ((d / "sentencepiece.model").write_bytes(b"\x0a\xff"), reseal(d)),
            "not a valid SentencePiece model",
        ),
        (lambda d: vocabulary_change(d, "missing"), "no id"),
        (lambda d: vocabulary_change(d, "renamed"), "have no id, for example"),
        (lambda d: vocabulary_change(d, "gap"), "each once"),
        (lambda d: vocabulary_change(d, "list"), "must be an object"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_sentence(
    tmp_path: Path, tokenizer: Tokenizer, damage: object, words: str
) -> None:
    tokenizer.save(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(BundleError, match=words):
        load_tokenizer(tmp_path)


def test_a_segmenter_of_another_model_does_not_pass(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    learn(TokenizerConfig(vocab_size=503)).save(other)
    shutil.copy(other / "sentencepiece.model", tmp_path)
    reseal(tmp_path)
    with pytest.raises(BundleError, match=r"vocabulary\.json has .* pieces, but .*sentencepiece\.model needs"):
        load_tokenizer(tmp_path)


def test_mutated_model_files_give_clean_errors_or_a_working_segmenter(tokenizer: Tokenizer) -> None:
    # In a process of its own: what we guard against is a crash in C++.
    program = """
import random, sys
from pellucid.errors import BundleError
from pellucid.text.sentencepiece.segmenter import Segmenter
raw = sys.stdin.buffer.read()
generator = random.Random(3)
refused = 0
for _ in range(400):
    changed = bytearray(raw)
    for _ in range(generator.choice([1, 3, 17])):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    if generator.random() < 0.3:
        del changed[generator.randrange(len(changed)):]
    try:
        Segmenter(bytes(changed), place="fuzz").encode(["ba de ki \\u2581", "x"])
    except BundleError:
        refused += 1
assert refused > 100, refused
"""
    assert tokenizer.source.segmenter is not None
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=tokenizer.source.segmenter.model,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def test_without_byte_fallback_a_new_character_is_unknown() -> None:
    tokenizer = learn(TokenizerConfig(byte_fallback=False))
    assert tokenizer.specials.unk in tokenizer.encode_source(["😀"])[0]
