"""A number that does not follow from the others is told above every picture, and not drawn in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import pellucid
from pellucid.page.single_file import view_names

from .conftest import OpenPage
from .models import save_random_model

pytestmark = pytest.mark.slow

SITE = "decoder.1.cross_attention.weights"


def test_wrong_numbers_are_told_above_every_picture(tmp_path: Path, open_page: OpenPage) -> None:
    translator = pellucid.load(save_random_model(tmp_path / "model"), threads=1)
    sound = pellucid.trace(translator, "a cat", target="un chat")
    weights = sound[SITE].copy()
    weights[2, 3, 1] += 0.25
    wrong = replace(sound, arrays={**sound.arrays, SITE: weights})
    for name, made in (("sound", sound), ("wrong", wrong)):
        made.to_html(tmp_path / f"{name}.html")
        window = open_page((tmp_path / f"{name}.html").as_uri(), offline=True).ready()
        for view in view_names():
            window.go(view=view)
            told = [banner.inner_text() for banner in window.page.query_selector_all(".banner[role=alert]")]
            assert len(told) == (name == "wrong"), view
            if told:
                assert "3 of " in told[0]  # the equation of the weights, their sum, and that of the context
                assert SITE in told[0]
