"""Recipes: one home of defaults, nothing ignored, every problem named with its place."""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pellucid.config import PRESETS, Recipe, load_recipe, recipe_from, to_toml
from pellucid.config.section import Section
from pellucid.config.tables import parse_settings
from pellucid.errors import ConfigError


def sections(kind: type[BaseModel] = Recipe, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type]]:
    """Walk the sections of a recipe with their place."""
    yield place, kind
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, (*place, name))


SECTIONS = list(sections())


def test_a_bare_recipe_is_the_papers_base_model() -> None:
    model = recipe_from({}).model
    # Vaswani et al. 2017, table 3, row "base"
    assert (model.num_encoder_layers, model.num_decoder_layers) == (6, 6)
    assert (model.d_model, model.d_feedforward, model.num_heads, model.d_head) == (512, 2048, 8, 64)
    assert (model.dropout, recipe_from({}).training.label_smoothing) == (0.1, 0.1)


def test_the_papers_big_model_has_more_dropout() -> None:
    model = recipe_from({"preset": "big"}).model
    # Vaswani et al. 2017, table 3, row "big"
    assert (model.num_encoder_layers, model.num_decoder_layers) == (6, 6)
    assert (model.d_model, model.d_feedforward, model.num_heads, model.dropout) == (1024, 4096, 16, 0.3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_is_not_given(preset: str) -> None:
    model = recipe_from({"preset": preset}).model
    assert {name: getattr(model, name) for name in PRESETS[preset]} == PRESETS[preset]
    changed = recipe_from({"preset": preset, "model": {"num_encoder_layers": 11}}).model
    assert changed.num_encoder_layers == 11
    assert changed.num_decoder_layers == PRESETS[preset]["num_decoder_layers"]


def test_a_preset_can_come_from_a_setting() -> None:
    assert recipe_from({}, ["preset=tiny"]).model.d_model == PRESETS["tiny"]["d_model"]
    assert recipe_from({"preset": "big"}, ["preset=tiny"]).model.d_model == PRESETS["tiny"]["d_model"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_reads_back_as_the_same(preset: str) -> None:
    table = {
        "preset": preset,
        "description": 'naïve «text» with "quotes" and # signs',
        "data": {"train": [{"src": "a.de", "tgt": "a.en", "weight": 0.5}, {"tsv": "b.tsv"}], "src_lang": "de"},
        "training": {"minutes": 7.5, "valid_seconds": 11.0},
        "translation": {"banned_tokens": ["▁x", "\\"]},
    }
    recipe = recipe_from(table)
    text = to_toml(recipe)
    assert recipe_from(tomllib.loads(text)) == recipe
    assert to_toml(recipe_from(tomllib.loads(text))) == text


def test_a_written_recipe_spells_out_every_default() -> None:
    text = to_toml(recipe_from({}))
    for place, kind in SECTIONS:
        for name, field in kind.model_fields.items():
            assert issubclass(kind, Section)
            is_older = name not in kind.NEWER
            if field.default is not None and not isinstance(field.default, BaseModel) and is_older:
                assert name in text, (place, name)


@pytest.mark.parametrize(("place", "kind"), SECTIONS, ids=[".".join(place) or "recipe" for place, _ in SECTIONS])
def test_an_unknown_name_is_refused_everywhere_with_the_nearest_right_one(
    place: tuple[str, ...], kind: type[BaseModel]
) -> None:
    right = max(kind.model_fields, key=len)
    wrong = right + "s"
    with pytest.raises(ConfigError) as caught:
        recipe_from({}, [f"{'.'.join((*place, wrong))}=1"])
    assert f"{'.'.join((*place, wrong))}: unknown setting; did you mean '{right}'?" in str(caught.value)


@pytest.mark.parametrize(("place", "kind"), SECTIONS, ids=[".".join(place) or "recipe" for place, _ in SECTIONS])
def test_every_section_is_frozen(place: tuple[str, ...], kind: type[BaseModel]) -> None:
    section: object = recipe_from({})
    for name in place:
        section = getattr(section, name)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(section, next(iter(kind.model_fields)), 1)


def test_a_name_that_resembles_nothing_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"zzz: unknown setting; known here: .*num_heads"):
        recipe_from({"model": {"zzz": 1}})


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    table = {"model": {"num_heds": 3}, "traning": {}, "training": {"accum_count": 0, "batch_type": "words"}}
    with pytest.raises(ConfigError) as caught:
        recipe_from(table, place="toy.toml")
    lines = str(caught.value).split("\n")
    assert len(lines) == 4
    assert all(line.startswith("toy.toml: ") for line in lines)
    assert all(
        any(word in line for line in lines) for word in ("'num_heads'", "'training'", "accum_count = 0", "'words'")
    )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.num_heads=7", "num_heads = 7 does not divide d_model = 512; use one of 1, 2, 4, 8"),
        ("model.d_model=9", "d_model = 9 is odd"),
        ("model.share_decoder_embeddings=false", "share_decoder_embeddings"),
        ("model.specials={pad=3}", "pad = 3, unk = 1 and eos = 3"),
        ("model.dropout=1", "model.dropout = 1"),
        ("model.dropout=nan", "not a finite number"),
        ("training.minutes=inf", "not a finite number"),
        ("training.learning_rate=inf", "not a finite number"),
        ("training.seed=true", "True is not a number"),
        ("training.seed='3'", "'3' is not a number"),
        ("training.train_steps=true", "True is not a number"),
        ("training.train_steps='7'", "'7' is not a number"),
        ("training.seed=-1", "training.seed = -1"),
        ("model.share_embeddings=1", "neither true nor false"),
        ("model.share_embeddings='no'", "neither true nor false"),
        ("tokenizer.vocab_size=5", "5 is too small"),
        ("tokenizer.vocab_size=many", "'many' is not a size"),
        ("tokenizer.joint=false", "tokenizer.joint = true"),
        ("training.precision=fp8", "'fp32' or 'bf16'"),
        ("translation.n_best=6", "n_best = 6 is more than beam_size = 5"),
        ("translation.temperature=2", "sampling = true"),
        ("training=3", "training = 3: is not a table of settings"),
        ("preset=huge", "'tiny', 'small', 'base' or 'big'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from({}, [setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value), "one problem, one line"


def test_a_run_has_one_budget() -> None:
    with pytest.raises(ConfigError, match=r"train_steps = 7 and minutes = 3\.0"):
        recipe_from({}, ["training.train_steps=7", "training.minutes=3"])
    with pytest.raises(ConfigError, match="valid_seconds needs minutes"):
        recipe_from({}, ["training.train_steps=7", "training.valid_seconds=3"])


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        ({"src": "a"}, "src = a and tgt = None: both files are needed"),
        ({}, "a corpus needs either"),
        ({"src": "a", "tgt": "b", "tsv": "c"}, "a corpus needs either"),
        ({"tsv": "a", "weight": 0}, "weight = 0"),
    ],
)
def test_a_corpus_is_named_in_one_form(corpus: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recipe_from({"data": {"train": [corpus]}})


def test_the_files_of_a_corpus_are_looked_for_in_a_folder() -> None:
    data = recipe_from(
        {"data": {"train": [{"src": "a", "tgt": "/b"}, {"jsonl": "c"}], "valid": {"tsv": "d"}}}
    ).data.below(Path("/texts"))
    assert [corpus.paths() for corpus in data.train] == [(Path("/texts/a"), Path("/b")), (Path("/texts/c"),)]
    (valid,) = data.valid
    assert valid.paths() == (Path("/texts/d"),)
    assert [corpus.label() for corpus in data.train] == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.seed=7", 7),
        ("training.learning_rate=7e-4", 7e-4),
        ("a.b=true", True),
        ("a.b=de", "de"),
        ("a.b='7'", "7"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b=x=y", "x=y"),
        ("a.b=", ""),
        ("a.b=1\nc=2", "1\nc=2"),
        (" a . b = 3", 3),
    ],
)
def test_a_setting_is_toml_or_a_bare_word(text: str, value: object) -> None:
    ((keys, parsed),) = parse_settings([text])
    assert parsed == value
    assert len(keys) == 2


@pytest.mark.parametrize("text", ["training.seed", "=3", "training.=3", ".seed=3", ""])
def test_a_setting_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        parse_settings([text])


@given(st.text())
def test_any_text_is_a_setting_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        recipe_from({}, [text])


def test_the_last_setting_wins_and_its_neighbours_stay() -> None:
    recipe = recipe_from({"training": {"seed": 3, "accum_count": 5}}, ["training.seed=7", "training.seed=11"])
    assert (recipe.training.seed, recipe.training.accum_count) == (11, 5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such recipe file"),
        (b"\xff", "not valid UTF-8 (byte 0)"),
        (b"[training\n", "not valid TOML"),
        (b"a = 1\na = 2\n", "not valid TOML"),
        (b"[training]\nsede = 3\n", "did you mean 'seed'?"),
    ],
)
def test_a_recipe_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "toy.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load_recipe(tmp_path)


def test_settings_go_on_top_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text('preset = "tiny"\n[training]\nseed = 3\n', encoding="utf-8")
    recipe = load_recipe(path, ["training.seed=5"])
    assert (recipe.training.seed, recipe.model.d_model) == (5, PRESETS["tiny"]["d_model"])


def test_a_vocabulary_is_put_in_and_checked_again() -> None:
    model = recipe_from({"preset": "tiny"}).model
    known = model.with_vocabulary(source_size=97, target_size=97, specials=model.specials)
    assert (known.source_vocab_size, known.target_vocab_size) == (97, 97)
    with pytest.raises(ValidationError, match="needs one vocabulary"):
        model.with_vocabulary(source_size=97, target_size=101, specials=model.specials)
    with pytest.raises(ValidationError, match="outside a vocabulary of 3"):
        model.with_vocabulary(source_size=3, target_size=3, specials=model.specials)


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        ({"tsv": "c.tsv", "src_column": 2, "tgt_column": 2}, "src_column = tgt_column = 2"),
        ({"jsonl": "c.jsonl", "src_key": "text", "tgt_key": "text"}, "src_key = tgt_key = 'text'"),
        ({"tsv": "c.tsv", "weight": 1e9}, "less than or equal to 1000"),
    ],
)
def test_a_corpus_that_would_train_nonsense_is_refused(corpus: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        recipe_from({"data": {"train": [corpus]}})


def test_a_list_is_asked_for_in_the_words_of_toml() -> None:
    with pytest.raises(ConfigError, match=r"banned_tokens = 'zz': is not a list; write it in square brackets"):
        recipe_from({}, ["translation.banned_tokens=zz"])
