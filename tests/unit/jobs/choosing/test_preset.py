"""``preset = "auto"`` becomes plain numbers that fit the text and the budget; what the user sets stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pellucid.config import load_recipe, recipe_from, to_toml
from pellucid.errors import ConfigError
from pellucid.jobs.choosing import rules
from pellucid.jobs.choosing.preset import settings_in_words, with_preset
from pellucid.jobs.choosing.rules import Budget, TextFacts, choose
from pellucid.jobs.promises.dry_run import dry_run
from pellucid.jobs.run_folder import settings_of
from pellucid.jobs.train import QuietReporter, train

ROOT = Path(__file__).resolve().parents[4]


def budget(*, minutes: float | None = None, epochs: int | None = None, is_gpu: bool = False) -> Budget:
    return Budget(minutes=minutes, steps=None, epochs=epochs, is_gpu=is_gpu, threads=2)


def text(pairs: int, *, alphabet: int = 70) -> TextFacts:
    return TextFacts(pairs=pairs, mean_tokens=13.0, alphabet=alphabet)


def number(settings: Any, name: str) -> float:
    return next(table[name] for table in settings.values() if name in table)


def test_the_promise_for_multi30k_is_for_what_is_chosen() -> None:
    """The facts of the 29,000 pairs, de-en; another choice needs another measurement."""
    recipe = load_recipe(ROOT / "recipes/multi30k-de-en.toml")
    assert recipe.promise is not None
    facts = TextFacts(pairs=29_000, mean_tokens=16.28, alphabet=60, words=39_491)
    settings = choose(facts, budget(minutes=recipe.promise.minutes)).settings
    table = recipe.model_dump(exclude_unset=True, exclude={"preset"}) | {
        name: dict(found) for name, found in settings.items()
    }
    assert settings_in_words(recipe_from(table)) == recipe.promise.chosen


def test_more_text_never_makes_the_model_or_its_pieces_smaller() -> None:
    sizes = [choose(text(pairs), budget(epochs=100)).settings for pairs in (1500, 5000, 20_000, 90_000, 200_000, 10**7)]
    for name in ("d_model", "num_encoder_layers", "d_feedforward"):
        values = [number(settings, name) for settings in sizes]
        assert values == sorted(values), name
    pieces = [number(settings, "vocab_size") for settings in sizes[1:]]
    assert pieces == sorted(pieces)
    assert "vocab_size" not in sizes[0]["tokenizer"]  # only the tokenizer knows what so little text allows


def test_a_longer_run_never_gets_less_dropout() -> None:
    rates = [number(choose(text(20_000), budget(minutes=m)).settings, "dropout") for m in (1, 5, 20, 60, 600)]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_what_lengthens_a_step_or_hides_words_needs_many_epochs() -> None:
    short, long = (choose(text(160_000), budget(epochs=epochs)).settings for epochs in (10, 200))
    assert number(short, "simcut") == 0 < number(long, "simcut")
    short, long = (choose(text(5000), budget(epochs=epochs)).settings for epochs in (10, 200))
    assert number(short, "source_word_dropout") == 0 < number(long, "source_word_dropout")


def test_a_short_budget_gets_the_smaller_shape_and_a_short_warm_up() -> None:
    short, long = (choose(text(1_000_000), budget(minutes=m)).settings for m in (20, 100_000))
    assert number(short, "d_model") < number(long, "d_model")
    assert number(choose(text(5000), budget(epochs=1)).settings, "warmup_steps") < number(long, "warmup_steps")


def test_much_text_and_few_minutes_get_the_narrow_shape_and_few_pieces_on_a_processor() -> None:
    """As measured: within 12 minutes the narrow shape is 7.6 BLEU ahead of ``small`` on 164,000 pairs."""
    cpu, gpu = (choose(text(164_000), budget(minutes=12, is_gpu=is_gpu)).settings for is_gpu in (False, True))
    assert number(cpu, "d_model") == 128 < number(gpu, "d_model")
    assert number(cpu, "vocab_size") <= 4000 < number(gpu, "vocab_size")


def test_only_the_shape_that_was_measured_is_called_so() -> None:
    short, long = (choose(text(164_000), budget(minutes=minutes)).reason for minutes in (12, 100_000))
    assert "(measured: " in short
    assert "(not measured: " in long


def test_text_below_one_batch_makes_epochs_no_shorter() -> None:
    tiny, small, more = (choose(text(pairs), budget(minutes=1)) for pairs in (10, 30, 4000))
    about = [choice.reason.partition(" about ")[2].partition(" epochs")[0].split()[-1] for choice in (tiny, small)]
    assert about[0] == about[1]  # both have one batch an epoch
    assert number(tiny.settings, "warmup_steps") == number(small.settings, "warmup_steps")
    assert number(tiny.settings, "warmup_steps") <= 3 * number(more.settings, "warmup_steps")


def test_a_gpu_gets_larger_batches_with_a_higher_rate() -> None:
    thread = Budget(minutes=20, steps=None, epochs=None, is_gpu=False, threads=1)
    cpu, gpu = (choose(text(30_000), one).settings for one in (thread, budget(minutes=20, is_gpu=True)))
    assert number(gpu, "batch_size") > number(cpu, "batch_size")
    assert number(gpu, "learning_rate") > number(cpu, "learning_rate")


def test_a_gpu_has_nothing_that_makes_its_steps_eager() -> None:
    gpu = choose(text(164_000), budget(epochs=300, is_gpu=True)).settings
    assert number(gpu, "simcut") > 0
    assert (number(gpu, "accum_count"), gpu["training"]["optimizer"]) == (1, "adam")


def test_a_narrow_model_has_batches_for_two_processes_where_there_are_two_threads() -> None:
    def batches(
        pairs: int, *, threads: int, is_gpu: bool = False, accum_count: int | None = None
    ) -> tuple[float, float]:
        spent = Budget(minutes=None, steps=None, epochs=50, is_gpu=is_gpu, threads=threads)
        settings = choose(text(pairs), spent, accum_count=accum_count).settings
        return number(settings, "accum_count"), number(settings, "learning_rate")

    (one, rate), (two, higher) = (batches(20_000, threads=threads) for threads in (1, 2))
    assert (one, two) == (1, 2)
    assert higher == pytest.approx(rate * 2**0.5, rel=0.02)
    assert batches(20_000, threads=8)[0] == 2
    assert batches(20_000, threads=8, is_gpu=True)[0] == batches(1_000_000, threads=8)[0] == 1
    assert batches(20_000, threads=2, accum_count=1) == (one, rate)


def test_an_alphabet_of_thousands_gets_more_pieces() -> None:
    latin, chinese = (choose(text(20_000, alphabet=size), budget(epochs=50)).settings for size in (70, 3000))
    assert number(chinese, "vocab_size") > 2 * 3000 > number(latin, "vocab_size")


def test_a_text_of_few_words_leaves_the_pieces_to_the_tokenizer() -> None:
    few, many = (
        choose(TextFacts(5000, 13.0, 60, words), Budget(5.0, None, None, is_gpu=False, threads=2))
        for words in (700, 9000)
    )
    assert few.settings["tokenizer"] == {}
    assert many.settings["tokenizer"]["vocab_size"] >= 1000


def test_every_row_says_where_it_is_from_and_makes_a_valid_recipe() -> None:
    for row in rules._grid()["anchor"]:
        assert row["source"]
        for spent in (budget(minutes=3), budget(epochs=300), budget(minutes=60, is_gpu=True)):
            choice = choose(text(row["pairs"]), spent)
            assert recipe_from({"preset": choice.nearest_preset, **choice.settings})


@pytest.fixture
def corpus(tmp_path: Path) -> dict[str, Any]:
    nouns, verbs = ("dog", "cat", "bird", "horse", "child"), ("sees", "hears", "knows", "likes")
    lines = [f"the {a} {v} the {b} {n}" for a in nouns for v in verbs for b in nouns for n in range(3)]
    (tmp_path / "a.txt").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "b.txt").write_text("".join(f"{line.upper()}\n" for line in lines))
    table = {"train": [{"src": tmp_path / "a.txt", "tgt": tmp_path / "b.txt"}]}
    return {"preset": "auto", "data": table, "training": {"max_epochs": 1, "threads": 1}}


def test_the_recipe_has_plain_numbers_and_the_line_says_why(corpus: dict[str, Any], tmp_path: Path) -> None:
    chosen, line, batch_of_rate = with_preset(recipe_from(corpus), tmp_path / "run")
    assert batch_of_rate is None
    assert chosen.preset == "tiny"
    assert "auto" not in str(settings_of(chosen)["model"])
    assert f"d_model {chosen.model.d_model}" in line
    assert "300 pairs" in line
    assert "1 epoch on 1 thread" in line
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(chosen))
    assert settings_of(load_recipe(path)) == settings_of(chosen)


def test_every_setting_of_the_user_stays(corpus: dict[str, Any], tmp_path: Path) -> None:
    own = ["model.d_model=96", "model.dropout=0.05", "training.r_drop=2.0", "training.batch_size=777"]
    own += ["training.warmup_steps=3", "tokenizer.vocab_size=330", "training.simcut=0"]
    chosen = with_preset(recipe_from(corpus, own), tmp_path / "run").recipe
    assert (chosen.model.d_model, chosen.model.dropout, chosen.tokenizer.vocab_size) == (96, 0.05, 330)
    training = chosen.training
    assert training.accum_count == 1  # for a single thread
    assert (training.r_drop, training.simcut, training.batch_size, training.warmup_steps) == (2.0, 0, 777, 3)


def test_what_the_user_chose_leaves_no_room_for_other_choices(corpus: dict[str, Any], tmp_path: Path) -> None:
    many = (tmp_path / "a.txt").read_text() * 7
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(many)
    own = ["tokenizer.kind=bytes", "training.batch_type=sentences"]
    chosen = with_preset(recipe_from(corpus, own), tmp_path / "r").recipe
    assert chosen.tokenizer.vocab_size == "auto"
    assert chosen.training.batch_size == recipe_from({}).training.batch_size


def test_the_rate_is_for_the_batch_of_the_grid_until_the_real_one_is_known(
    corpus: dict[str, Any], tmp_path: Path
) -> None:
    fixed = with_preset(recipe_from(corpus), tmp_path / "run").recipe.training
    found = with_preset(recipe_from(corpus, ["training.batch_size=auto"]), tmp_path / "run")
    assert found.recipe.training.batch_size == "auto"
    assert (found.batch_of_rate, found.recipe.training.learning_rate) == (fixed.batch_size, fixed.learning_rate)
    own = ["training.batch_size=auto", "training.learning_rate=0.5"]
    assert with_preset(recipe_from(corpus, own), tmp_path / "run").batch_of_rate is None


def test_another_preset_is_left_alone(corpus: dict[str, Any], tmp_path: Path) -> None:
    recipe = recipe_from(corpus | {"preset": "small"})
    assert with_preset(recipe, tmp_path / "run") == (recipe, "", None)


@pytest.mark.slow
def test_a_run_begins_goes_on_and_is_predicted_alike(corpus: dict[str, Any], tmp_path: Path) -> None:
    own = ["training.train_steps=2", "training.valid_bleu_sentences=4", "training.precision=fp32"]
    recipe = recipe_from(corpus, own)
    prediction = dry_run(recipe, tmp_path / "run")
    said: list[str] = []
    reporter = QuietReporter()
    reporter.message = said.append  # type: ignore[method-assign]
    train(recipe, tmp_path / "run", reporter=reporter)
    (line,) = [text for text in said if text.startswith("preset auto: ")]
    assert line in prediction.lines
    written = (tmp_path / "run" / "recipe.toml").read_text()
    assert 'preset = "tiny"' in written
    # With three times the budget the settings stay those that the run began with.
    more = recipe_from(corpus, [*own, "training.train_steps=4", "training.max_epochs=300"])
    assert train(more, tmp_path / "run", reporter=reporter).result.steps == 4
    assert any("settings that this run began with" in text for text in said)
    # The recipe that the run wrote continues it too.
    again = load_recipe(tmp_path / "run" / "recipe.toml", ["training.train_steps=5", "training.max_epochs=300"])
    assert train(again, tmp_path / "run", reporter=reporter).result.steps == 5


def test_a_recipe_without_text_is_refused_as_ever(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no training text"):
        train(recipe_from({"preset": "auto"}), tmp_path / "run", reporter=QuietReporter())
