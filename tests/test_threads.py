"""No test inherits the number of threads of another one: the last bits of what it computes depend on that number."""

from __future__ import annotations

import pytest
import torch

THREADS = torch.get_num_threads()


@pytest.mark.parametrize("more", [1, 2, 3])
def test_a_test_begins_with_the_threads_of_the_session(more: int) -> None:
    assert torch.get_num_threads() == THREADS
    torch.set_num_threads(THREADS + more)  # the next of these tests would see it
