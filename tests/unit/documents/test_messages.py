"""Strings of software: placeholders of every kind are codes, and the forms of a message are translated one by one."""

from __future__ import annotations

import json

import pytest
import yaml
from tests.unit.documents.reading import changed, identity, opened, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Hi {{name | upper}} and {{ x }}", "Hi [1] and [2]"),
        ("On {day, date, ::yMd} at {n,number}", "On [1] at [2]"),
        ("Hi { $user } and { name }", "Hi [1] and [2]"),
        ("See $t(other.key) or @:other.key and @.upper:(x)", "See [1] or [2] and [3]"),
        ("Hi <%= name %>, %{user}, #{x} ${y}", "Hi [1], [2], [3] [4]"),
        ("Click <0>here <1/></0> now", "Click (1here [2]1) now"),
        ("One cat | {n} cats", "One cat [1] [2] cats"),
        ("The :attribute is empty: no (:other) 12:30 a:b", "The [1] is empty: no ([2]) 12:30 a:b"),
        ("%d of %1$s, %lu, %@ and 100%", "[1] of [2], [3], [4] and 100%"),
        ("One.\nTwo, \n\n three", "One.[1]Two,[2]three"),
        ("Save <b>now</b>&nbsp;!", "Save (1now1)[3]!"),
    ],
)
def test_placeholders_are_codes(text: str, seen: str) -> None:
    document = opened("json", json.dumps({"a": text}))
    assert shown(document) == [seen]
    assert json.loads(changed(document, lambda part: part)) == {"a": text}


PLURAL = "{n, plural, offset:1 =0 {No 'ca'ts} one {It''s {name}''s cat} other {# cats}}"
NESTED = "{who, select, male {{n, plural, one {He has a cat} other {He has # cats}}} other {12}}"


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        (PLURAL, ["No 'ca'ts", "It's [1]'s cat", "[1] cats"]),
        (NESTED, ["He has a cat", "He has [1] cats"]),
        (f"You have {PLURAL}.", []),
        ("{n, plural, one {a {m, plural, one {b}} c} other {d}}", []),
        ("{n, plural, one {a} other {b}", []),
        ("{n, plural, }", []),
    ],
)
def test_forms_of_a_message_are_translated_if_each_is_a_sentence(message: str, seen: list[str]) -> None:
    for file in (json.dumps({"a": message}), yaml.safe_dump({"a": message}, width=999, default_style='"')):
        document = opened("json" if file[0] == "{" else "yaml", file)
        assert shown(document) == seen
        assert bool(document.notes) is not bool(seen)
        assert identity(document) == file.encode()
        if message is PLURAL:
            written = document.merge(
                [("l'", *one.codes, "\n\"é'" if file[0] == "{" else "é'") for one in document.segments]
            )
            found = yaml.safe_load(written)["a"]
            end = "\n\"é''" if file[0] == "{" else "é''"
            assert found == f"{{n, plural, offset:1 =0 {{l'{end}}} one {{l''{{name}}{end}}} other {{l''#{end}}}}}"


def test_the_places_of_forms_are_found_behind_escapes() -> None:
    file = r'{"a": "{n, plural, one {\u00e9\ud83d\ude00\"x\"} other {y\/z}}"}'
    document = opened("json", file)
    assert [one.text for one in document.segments] == ['é😀"x"', "y/z"]
    assert json.loads(changed(document)) == {"a": '{n, plural, one {É😀"X"} other {Y/Z}}'}
