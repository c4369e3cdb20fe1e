"""The swapped loss and the reconstruction losses."""

import math

import pytest
import torch
import torch.nn.functional as F

from sigma_bench.losses.reconstruction import feature_l2, pixel_mse
from sigma_bench.losses.swapped import swapped_cross_entropy


@pytest.fixture
def branches():
    generator = torch.Generator().manual_seed(0)
    s1, s2, a, b = (torch.randn(7, 5, generator=generator) for _ in range(4))
    return s1.requires_grad_(), s2.requires_grad_(), a.softmax(1), b.softmax(1)


def test_hard_uses_the_most_likely_prototype_of_the_other_branch(branches):
    s1, s2, q1, q2 = branches
    loss = swapped_cross_entropy(*branches, temperature=0.2, hard=True)
    assert loss.first.item() == pytest.approx(F.cross_entropy(s1 / 0.2, q2.argmax(1)).item())
    assert loss.second.item() == pytest.approx(F.cross_entropy(s2 / 0.2, q1.argmax(1)).item())
    assert loss.total.item() == pytest.approx((loss.first + loss.second).item())


def test_soft_is_the_expected_log_likelihood(branches):
    s1, _, _, q2 = branches
    loss = swapped_cross_entropy(*branches, temperature=0.2, hard=False)
    assert loss.first.item() == pytest.approx(-(q2 * (s1 / 0.2).log_softmax(1)).sum(1).mean().item(), rel=1e-5)


def test_soft_and_hard_agree_on_one_hot_assignments(branches):
    s1, s2, q1, q2 = branches
    one_hot = [F.one_hot(q.argmax(1), 5).float() for q in (q1, q2)]
    soft = swapped_cross_entropy(s1, s2, *one_hot, hard=False).total
    assert soft.item() == pytest.approx(swapped_cross_entropy(s1, s2, q1, q2, hard=True).total.item(), rel=1e-5)


def test_no_gradient_enters_the_assignments(branches):
    s1, s2, q1, q2 = branches
    q1.requires_grad_()
    torch.autograd.backward(swapped_cross_entropy(s1, s2, q1, q2, hard=False).total)
    assert q1.grad is None
    assert s1.grad is not None
    assert s2.grad is not None


def test_uniform_scores_cost_ln_k_a_branch():
    zeros, q = torch.zeros(3, 8), torch.eye(8)[:3]
    assert swapped_cross_entropy(zeros, zeros, q, q).total.item() == pytest.approx(2 * math.log(8))


def test_pixel_target_gets_no_gradient_and_feature_target_does():
    predicted, target = torch.ones(2, 3, 4, requires_grad=True), torch.zeros(2, 3, 4, requires_grad=True)
    torch.autograd.backward(pixel_mse(predicted, target))
    assert target.grad is None
    loss = feature_l2(predicted, target)
    torch.autograd.backward(loss)
    assert loss.item() == 1
    assert target.grad is not None
