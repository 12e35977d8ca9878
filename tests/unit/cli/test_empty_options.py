"""An empty text for an option is refused by every verb, wherever an empty text says nothing."""

from __future__ import annotations

import pytest
import typer

from pellucid.cli.main import app

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SAYS_SOMETHING = {("suggest", "--prefix"), ("synthesize", "--tag"), ("synthesize", "--language-tag")}
OPTIONS = [
    (verb, param.opts[0])
    for verb, command in VERBS.items()
    for param in command.params
    if param.param_type_name == "option" and not param.is_flag
]


@pytest.mark.parametrize(("verb", "option"), OPTIONS)
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_text_is_refused(verb: str, option: str, empty: str) -> None:
    with pytest.raises(typer.BadParameter.__mro__[1]) as caught:
        VERBS[verb].make_context(verb, [option, empty], resilient_parsing=False)
    is_refused = "is empty; give a value, or leave the option out" in caught.value.format_message()
    assert is_refused is ((verb, option) not in SAYS_SOMETHING), caught.value.format_message()
