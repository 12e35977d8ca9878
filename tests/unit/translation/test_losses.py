"""What should come through a translation as it is, and whether it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.growth import growth

from pellucid.translation.losses import lost_or_changed

MULTI30K = Path(__file__).resolve().parents[4] / "shared" / "data" / "multi30k"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("It costs 350 euros.", "Es kostet viel."),
        ("It costs euros.", "Es kostet 350 Euro."),
        ("I have 3 cats.", "J'ai 5 chats."),  # one missing on either side
        ("3.5 kg", "35 kg"),
        ("In 1987 and 1987", "En 1987"),
        ("1,000.5 m", "1.000,6 m"),
        ("\u0661\u0662\u0663 m", "124 m"),
        ("version 1.2.33", "version 1.2.34"),
        ("007 and 1,234", "007"),
    ],
)
def test_numbers_that_are_lost_or_new(source: str, text: str) -> None:
    assert set(lost_or_changed(source, text)) == {"numbers"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1,000.5 m", "1.000,5 m"),
        ("1,000.5 m", "1\u00a0000,5 m"),
        ("1,000.5 m", "1 000,5 m"),
        ("1'234'567 Fr.", "1,234,567 francs"),
        ("12,34,567 rupees", "1,234,567 rupees"),
        ("1000 m", "1.000 m"),
        ("3.50 euros", "3,5 Euro"),
        ("\uff11\uff12\uff13 m", "123 m"),
        ("\u0661\u0662\u0663\u066b\u0665 m", "123.5 m"),
        ("at 2:30", "um 2.30 Uhr"),
        ("on 07.04.2020", "7/4/2020"),
        ("7 women and 2 men", "sieben Frauen und zwei M\u00e4nner"),
        ("twelve", "12"),
        ("no number", "keine Zahl"),
        ("20 cats, 20 dogs", "20 Katzen, 20 Hunde"),
    ],
)
def test_numbers_that_are_there_in_another_form(source: str, text: str) -> None:
    assert set(lost_or_changed(source, text)) == set()


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("See https://example.com/a?b=c.", "Siehe https://example.com/a?b=c!", set()),
        ("See https://example.com/a?b=c.", "Siehe https://example.com/a.", {"addresses"}),
        ("Write to me@example.org, please.", "Bitte schreiben.", {"addresses"}),
        ("Write to (me@example.org)", "\u00c9cris \u00e0 me@example.org", set()),
        ("www.example.com twice: www.example.com", "www.example.com", {"addresses"}),
        ("http://a.b/7 has no number", "http://a.b/7 n'a pas de nombre", set()),
        ("a @ b, 10 %", "a @ b, 10 %", set()),
    ],
)
def test_addresses(source: str, text: str, found: set[str]) -> None:
    assert set(lost_or_changed(source, text)) == found


MARKS = """{0} {name} {0:.2f} {} {{name}} ${x} %s %(x)d %1$s %.2f %ld <b> <br/> </b> &nbsp; &#39; &#x27; [X6X]"""


@pytest.mark.parametrize("mark", [*MARKS.split(), "<a href='x'>"])
def test_placeholders(mark: str) -> None:
    assert set(lost_or_changed(f"Hello {mark}, dear.", f"{mark} hallo.")) == set()
    assert set(lost_or_changed(f"Hello {mark}, dear.", "Hallo.")) == {"placeholders"}
    assert set(lost_or_changed("Hello.", f"Hallo {mark}.")) == {"placeholders"}
    assert set(lost_or_changed(f"{mark} and {mark}", f"{mark} und")) == {"placeholders"}


def test_a_changed_placeholder_is_lost() -> None:
    assert set(lost_or_changed("Hello {name}", "Bonjour {nom}")) == {"placeholders"}
    assert set(lost_or_changed("%1$s of %2$s", "%1$s de %1$s")) == {"placeholders"}


def test_what_only_looks_like_a_placeholder() -> None:
    assert set(lost_or_changed("100% sure, 50%discount, a < b > c", "sicher zu 100 %, 50%discount")) == set()
    assert set(lost_or_changed('<img alt="A dog">', '<img alt="Ein Hund">')) == set()  # the text of an attribute


@pytest.mark.parametrize(
    "emoji", ["\U0001f600", "\u2764\ufe0f", "\U0001f1eb\U0001f1f7", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]
)
def test_emoji(emoji: str) -> None:
    assert set(lost_or_changed(f"Hi {emoji}", "Salut")) == {"emoji"}
    assert set(lost_or_changed(f"Hi {emoji}", f"{emoji} Salut")) == set()


@pytest.mark.parametrize(
    "unit", ["1 ", "1,", "1.000,", "a@", "a@b.", "http://", "{", "{a", "%", "%1$", "<a ", "&a", "9" * 7 + ","]
)
def test_the_time_is_linear(unit: str) -> None:
    assert growth(lambda text: lost_or_changed(text, text[::-1]), lambda n: unit * (n // len(unit)), 20_000) <= 2.5


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="the corpus Multi30k is not here")
@pytest.mark.parametrize("language", ["de", "fr"])
def test_translations_of_people_are_rarely_flagged(language: str) -> None:
    sides = [(MULTI30K / f"valid.{code}").read_text(encoding="utf-8").split("\n") for code in ("en", language)]
    flagged = [pair for pair in zip(*sides, strict=True) if lost_or_changed(*pair)]
    assert len(flagged) < 0.01 * len(sides[0])
