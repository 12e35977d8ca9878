"""Gradients in buckets are the gradients of all processes, whenever they are sent."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pellucid.training.processes import exchange as module
from pellucid.training.processes.exchange import GradientExchange


@dataclass
class Doubling:
    """Stands in for a second process with the same gradients: a sum is twice the tensor, when it is waited for."""

    tensor: Tensor

    def wait(self) -> None:
        self.tensor *= 2


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUCKET_BYTES", 80)


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(5)))


def loss_of(net: nn.Module) -> Tensor:
    result: Tensor = net(torch.ones(3, 4)).square().sum()
    return result


def test_buckets_leave_in_order_while_backward_goes_on(small_buckets: None) -> None:
    net, sent = network(), []

    def add(tensor: Tensor) -> Doubling:
        sent.append((tensor.numel(), net[0].weight.grad is None))
        return Doubling(tensor)

    exchange = GradientExchange(list(net.parameters()), add=add).begin()
    loss_of(net).backward()
    expected = [2 * p.grad for p in net.parameters() if p.grad is not None]
    for parameter in net.parameters():
        parameter.grad = None
    loss = loss_of(net)
    with exchange.overlapping():
        loss.backward()
    before_the_end = len(sent)
    sums = torch.ones(2)
    exchange.finish(sums)
    assert [size for size, _ in sent] == [20] * 5 + [2]
    assert before_the_end == 5
    assert sent[0][1]  # the first layer had no gradient yet when the last one's left
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert torch.equal(sums, torch.full((2,), 2.0))


def test_a_process_without_a_batch_sends_the_same_buckets(small_buckets: None) -> None:
    net, sent = network(), []

    def add(tensor: Tensor) -> Doubling:
        sent.append(tensor.clone())
        return Doubling(tensor)

    exchange = GradientExchange(list(net.parameters()), add=add)
    for _ in range(2):
        exchange.begin().finish(torch.zeros(2))
        assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in net.parameters())
    assert [tensor.numel() for tensor in sent] == ([20] * 5 + [2]) * 2


def test_a_pass_that_is_repeated_sends_each_bucket_once(small_buckets: None) -> None:
    net, sent = network(), []

    def add(tensor: Tensor) -> Doubling:
        sent.append(tensor.numel())
        return Doubling(tensor)

    class Halfway(Exception):
        pass

    def fail(_: Tensor) -> None:
        raise Halfway

    exchange = GradientExchange(list(net.parameters()), add=add).begin()
    expected = [2 * g for g in torch.autograd.grad(loss_of(net), list(net.parameters()))]
    loss = loss_of(net)
    handle = net[2].weight.register_post_accumulate_grad_hook(fail)
    with pytest.raises(Halfway), exchange.overlapping():
        loss.backward()
    handle.remove()
    assert 0 < len(sent) < 5
    for parameter in net.parameters():
        parameter.grad = None
    loss = loss_of(net)
    with exchange.overlapping():
        loss.backward()
    exchange.finish(torch.zeros(2))
    assert sent == [20] * 5 + [2]
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
