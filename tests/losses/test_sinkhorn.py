"""Sinkhorn: golden vectors, its invariants, extreme scores, and the union over processes."""

import subprocess
import sys
import textwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.losses import sinkhorn as module
from sigma_bench.losses.sinkhorn import sinkhorn

SHAPES = st.tuples(st.integers(2, 40), st.integers(2, 12), st.integers(0, 10_000))


def _scores(shape: tuple[int, int, int], scale: float = 1.0) -> torch.Tensor:
    tokens, prototypes, seed = shape
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(tokens, prototypes, generator=generator) * 2 - 1) * scale


def _reference(scores: torch.Tensor, epsilon: float, iterations: int) -> torch.Tensor:
    """The loop as it is usually written, in float64."""
    q = torch.exp((scores.double() - scores.double().max()) / epsilon).t()
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(1, keepdim=True) * q.shape[0]
        q /= q.sum(0, keepdim=True) * q.shape[1]
    return (q / q.sum(0, keepdim=True)).t()


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from([0.03, 0.05, 0.2, 1.0]), st.integers(0, 10))
def test_equals_the_usual_loop(shape, epsilon, iterations):
    scores = _scores(shape, 0.5)
    ours = sinkhorn(scores, epsilon, iterations)
    assert torch.allclose(ours.double(), _reference(scores, epsilon, iterations), atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_marginals_after_many_iterations(shape):
    q = sinkhorn(_scores(shape), 0.5, 200)
    tokens, prototypes, _ = shape
    assert torch.allclose(q.sum(1), torch.ones(tokens), atol=1e-5)
    assert torch.allclose(q.sum(0), torch.full((prototypes,), tokens / prototypes), rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.floats(-50, 50))
def test_shift_and_permutation_do_not_matter(shape, shift):
    scores = _scores(shape)
    q = sinkhorn(scores, 0.1, 3)
    order_M = torch.randperm(shape[0], generator=torch.Generator().manual_seed(1))
    order_K = torch.randperm(shape[1], generator=torch.Generator().manual_seed(2))
    assert torch.allclose(sinkhorn(scores[order_M][:, order_K], 0.1, 3), q[order_M][:, order_K], atol=1e-5)
    shifted = scores.double() + shift
    rounding = (shifted.float().double() - shifted).abs().max().item()
    assert torch.allclose(sinkhorn(shifted.float(), 0.1, 3), q, atol=1e-4 + 50 * rounding)


@pytest.mark.parametrize("iterations", [0, 1, 3, 10])
@pytest.mark.parametrize("epsilon", [0.04, 0.05, 0.3])
def test_both_forms_agree(monkeypatch, epsilon, iterations):
    scores = _scores((200, 30, 4))
    scaled = sinkhorn(scores, epsilon, iterations)
    monkeypatch.setattr(module, "SAFE_EXPONENT", -1.0)
    assert torch.allclose(sinkhorn(scores, epsilon, iterations), scaled, atol=1e-5)


@pytest.mark.parametrize("exponent", [20.0, 67.0, 69.0, 300.0])
def test_accurate_on_both_sides_of_the_switch(exponent):
    scores = _scores((150, 20, 9))
    epsilon = (scores.max() - scores.min()).item() / exponent
    assert torch.allclose(sinkhorn(scores, epsilon, 10).double(), _reference(scores, epsilon, 10), atol=1e-4)


@pytest.mark.parametrize(("scale", "epsilon"), [(1, 1e-3), (1, 1e-8), (1e4, 0.05), (1e30, 0.05), (3e38, 1e-6)])
def test_extreme_scores_stay_finite(scale, epsilon):
    q = sinkhorn(_scores((40, 7, 3), scale), epsilon, 10)
    assert bool(q.isfinite().all())
    assert float(q.min()) >= 0
    assert torch.allclose(q.sum(1), torch.ones(40), atol=1e-5)


def test_cosine_scores_at_the_smallest_recipe_epsilon_take_the_fast_form(monkeypatch):
    scores = _scores((300, 40, 2)).sign() * torch.linspace(0.01, 1, 300).unsqueeze(1)
    expected = _reference(scores, 0.03, 10)
    monkeypatch.setattr(module, "weights_by_logarithms", None)
    assert torch.allclose(sinkhorn(scores, 0.03, 10).double(), expected, atol=1e-5)


def test_constant_scores_give_uniform_assignments():
    assert torch.allclose(sinkhorn(torch.full((5, 4), 0.3), 0.05, 3), torch.full((5, 4), 0.25))


def test_half_precision_and_autocast_are_computed_in_float32():
    scores = _scores((30, 6, 1)).half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = sinkhorn(scores, 0.05, 3)
    assert q.dtype == torch.float32
    assert torch.equal(q, sinkhorn(scores.float(), 0.05, 3))


def test_no_gradient_and_input_untouched():
    scores = _scores((6, 3, 1)).requires_grad_()
    before = scores.detach().clone()
    assert not sinkhorn(scores, 0.05, 3).requires_grad
    assert torch.equal(scores, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_undefined_scores_are_an_error(bad):
    scores = torch.zeros(4, 3)
    scores[1, 2] = bad
    with pytest.raises(FloatingPointError):
        sinkhorn(scores, 0.05, 3)


@pytest.mark.parametrize(("epsilon", "iterations", "shape"), [(0, 3, (2, 2)), (0.1, -1, (2, 2)), (0.1, 3, (0, 2))])
def test_impossible_settings_are_an_error(epsilon, iterations, shape):
    with pytest.raises(ValueError, match="sinkhorn needs"):
        sinkhorn(torch.zeros(shape), epsilon, iterations)


def test_two_processes_give_the_result_of_their_union(golden, tmp_path):
    values = torch.load(golden / "sinkhorn_2rank.pt", weights_only=True)
    torch.save({k: v for k, v in values.items() if k.startswith("scores")}, tmp_path / "scores.pt")
    program = textwrap.dedent(
        """
        import sys, torch, torch.distributed as dist
        from sigma_bench.losses import sinkhorn as module
        folder, rank = sys.argv[1], int(sys.argv[2])
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
        scores = torch.load(f"{folder}/scores.pt", weights_only=True)[f"scores.rank{rank}"]
        out = [module.sinkhorn(scores, 0.03, 10, dist.group.WORLD)]
        module.SAFE_EXPONENT = -1.0
        out.append(module.sinkhorn(scores, 0.03, 10, dist.group.WORLD))
        torch.save(out, f"{folder}/q{rank}.pt")
        dist.destroy_process_group()
        """
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(rank)]) for rank in (0, 1)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    for rank in (0, 1):
        for q in torch.load(tmp_path / f"q{rank}.pt", weights_only=True):
            assert torch.allclose(q, values[f"rank{rank}.q.eps0.03.it10"], atol=1e-5)
