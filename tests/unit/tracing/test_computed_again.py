"""What a trace does not keep is computed again: with the same bits in any thread, and to rounding with more of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import pellucid
from pellucid.translation.translator import Translator

from .kit import WordTokenizer, make_model

TRANSLATOR = Translator(make_model(WordTokenizer()).float(), WordTokenizer())


@pytest.mark.parametrize("more", [0, 1])
def test_another_thread_computes_the_same_bits(more: int) -> None:
    """A server computes in threads of its own, and a thread that is new to torch begins with the setting of OpenMP."""
    torch.set_num_threads(torch.get_num_threads() + more)  # set back before the next test, see tests/conftest.py
    whole = pellucid.trace(TRANSLATOR, "ein Hund rennt", target="a dog runs a dog")
    small = whole.at_level("attention")
    for site in whole.sites[::3]:
        with ThreadPoolExecutor(1) as new:
            found = new.submit(small.__getitem__, site).result()
        assert found.tobytes() == whole[site].tobytes(), site


@pytest.mark.parametrize("more", [1, 2])
def test_another_number_of_threads_changes_no_more_than_rounding(more: int) -> None:
    whole = pellucid.trace(TRANSLATOR, "ein Hund rennt", target="a dog runs a dog")
    small = whole.at_level("attention")
    torch.set_num_threads(torch.get_num_threads() + more)
    for site in whole.sites:
        np.testing.assert_allclose(small[site], whole[site], rtol=1e-5, atol=1e-5, err_msg=site)
