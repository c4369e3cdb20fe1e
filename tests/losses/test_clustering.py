"""The clustering loss: the unfused loss and its gradients, memory, accumulation, and the union over processes."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from sigma_bench.losses import sinkhorn as sinkhorn_module
from sigma_bench.losses.clustering import ClusteringLoss, ClusteringSettings, balance_weights, clustering_loss
from sigma_bench.losses.sinkhorn import balance, codes, most_likely, sinkhorn, soft_codes
from sigma_bench.losses.swapped import swapped_cross_entropy

NAMES = ("projected", "decoded", "prototypes")


def _inputs(tokens=150, prototypes=48, dim=24, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    projected, decoded, centres = (
        torch.randn(rows, dim, generator=generator, dtype=torch.float64).to(dtype)
        for rows in (tokens, tokens, prototypes)
    )
    return projected, decoded, F.normalize(centres, dim=-1)


def _log_assignments(scores, epsilon, iterations):
    """Sinkhorn on logarithms in float64, as it is usually written."""
    log_q = scores.detach().double() / epsilon
    for _ in range(iterations):
        log_q = log_q - log_q.logsumexp(0, keepdim=True)
        log_q = log_q - log_q.logsumexp(1, keepdim=True)
    return log_q.log_softmax(1)


def _unfused(projected, decoded, prototypes, settings):
    scores1 = F.normalize(projected, dim=-1) @ prototypes.t()
    scores2 = F.normalize(decoded, dim=-1) @ prototypes.detach().t()
    q1, q2 = (_log_assignments(s, settings.epsilon, settings.iterations).exp() for s in (scores1, scores2))
    if scores1.dtype == torch.float32:
        return swapped_cross_entropy(scores1, scores2, q1, q2, settings.temperature, settings.hard)
    losses = []
    for scores, q in ((scores1, q2), (scores2, q1)):
        target = F.one_hot(q.argmax(1), q.shape[1]).to(q) if settings.hard else q
        losses.append(-(target * (scores / settings.temperature).log_softmax(1)).sum(1).mean())
    return ClusteringLoss(sum(losses), *losses, q1.argmax(1), q2.argmax(1), None)


def _gradients(loss_of, inputs, settings, **options):
    leaves = [values.clone().requires_grad_() for values in inputs]
    found = loss_of(*leaves, settings, **options)
    return found, torch.autograd.grad(found.total, leaves)


def _apart(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(("epsilon", "temperature"), [(0.05, 0.1), (0.03, 0.1), (0.004, 0.1), (0.3, 0.002)])
@pytest.mark.parametrize("block", [1 << 20, 100])
def test_equals_the_unfused_loss_in_double(monkeypatch, hard, epsilon, temperature, block):
    monkeypatch.setattr(sinkhorn_module, "BLOCK", block)
    settings = ClusteringSettings(epsilon, 10, temperature, hard, torch.float64)
    inputs = _inputs(dtype=torch.float64)
    ours, gradients = _gradients(clustering_loss, inputs, settings)
    theirs, expected = _gradients(_unfused, inputs, settings)
    assert torch.equal(ours.labels1_M, theirs.labels1_M)
    assert torch.equal(ours.labels2_M, theirs.labels2_M)
    for value, reference in zip(ours[:3], theirs[:3], strict=True):
        assert value.item() == pytest.approx(reference.item(), rel=1e-12)
    for name, value, reference in zip(NAMES, gradients, expected, strict=True):
        assert _apart(value, reference) < 1e-10, name


@pytest.mark.parametrize("hard", [True, False])
def test_float32_is_as_exact_as_the_unfused_float32(hard):
    inputs = _inputs(600, 200, 64)
    settings = ClusteringSettings(hard=hard)
    exact, expected = _gradients(_unfused, [x.double() for x in inputs], settings)
    ours, gradients = _gradients(clustering_loss, inputs, settings)
    plain, unfused = _gradients(_unfused, inputs, settings)
    assert ours.total.item() == pytest.approx(exact.total.item(), rel=2e-7)
    assert ours.total.item() == pytest.approx(plain.total.item(), rel=2e-7)
    for name, value, other, reference in zip(NAMES, gradients, unfused, expected, strict=True):
        assert _apart(value, reference) < max(2e-7, 2 * _apart(other, reference)), name
    assert max(_apart(value, reference) for value, reference in zip(gradients, expected, strict=True)) < 1e-6


@examples(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 90), st.integers(1, 9), st.integers(0, 99), st.booleans())
def test_any_shape_equals_the_unfused_loss(tokens, prototypes, dim, seed, hard):
    settings = ClusteringSettings(epsilon=0.1, iterations=3, hard=hard, scores=torch.float64)
    inputs = _inputs(tokens, prototypes, dim, seed, torch.float64)
    ours, gradients = _gradients(clustering_loss, inputs, settings)
    theirs, expected = _gradients(_unfused, inputs, settings)
    # of one token, or equal ones, every prototype is as likely as the next: rounding alone makes one the likeliest
    clear = prototypes == 1 or all(
        bool((_log_assignments(F.normalize(x, dim=-1) @ inputs[2].t(), 0.1, 3).topk(2, 1)[0].diff() < -1e-9).all())
        for x in inputs[:2]
    )
    if clear or not hard:
        assert ours.total.item() == pytest.approx(theirs.total.item(), rel=1e-9, abs=1e-12)
        for value, reference in zip(gradients, expected, strict=True):
            assert torch.allclose(value, reference, atol=1e-9)


def test_gradcheck():
    settings = ClusteringSettings(epsilon=0.2, iterations=3, scores=torch.float64)
    projected, decoded, prototypes = _inputs(6, 5, 4, 3, torch.float64)
    assert torch.autograd.gradcheck(
        lambda p, d: clustering_loss(p, d, prototypes, settings).total,
        (projected.requires_grad_(), decoded.requires_grad_()),
    )


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("epsilon", [0.05, 0.004])
def test_pieces_with_shared_weights_give_the_loss_and_gradients_of_their_union(hard, epsilon):
    inputs = _inputs(120)
    settings = ClusteringSettings(epsilon=epsilon, hard=hard)
    whole, expected = _gradients(clustering_loss, inputs, settings, watch=True)
    pieces = list(zip(inputs[0].split(40), inputs[1].split(40), strict=True))
    weights = balance_weights([a for a, _ in pieces], [b for _, b in pieces], inputs[2], settings)
    found = [_gradients(clustering_loss, (a, b, inputs[2]), settings, weights=weights, watch=True) for a, b in pieces]
    assert torch.stack([loss.total for loss, _ in found]).mean().item() == pytest.approx(whole.total.item(), rel=1e-6)
    assert torch.stack([loss.entropy1 for loss, _ in found]).mean().item() == pytest.approx(
        whole.entropy1.item(), rel=1e-3
    )
    assert torch.equal(torch.cat([loss.labels1_M for loss, _ in found]), whole.labels1_M)
    assert torch.equal(torch.cat([loss.labels2_M for loss, _ in found]), whole.labels2_M)
    tolerance = 2e-6 if epsilon == 0.05 else 5e-5  # a score / epsilon of 250 is rounded to 1e-5
    assert _apart(torch.cat([grads[0] for _, grads in found]) / 3, expected[0]) < tolerance
    assert _apart(torch.cat([grads[1] for _, grads in found]) / 3, expected[1]) < tolerance
    assert _apart(torch.stack([grads[2] for _, grads in found]).mean(0), expected[2]) < tolerance


def test_entropy_of_the_first_branch_only_when_asked():
    inputs, settings = _inputs(), ClusteringSettings()
    scores = F.normalize(inputs[0], dim=-1) @ inputs[2].t()
    q = sinkhorn(scores, settings.epsilon, settings.iterations)
    watched = clustering_loss(*inputs, settings, watch=True)
    assert watched.entropy1.item() == pytest.approx(torch.special.entr(q).sum(1).mean().item(), rel=1e-4)
    assert clustering_loss(*inputs, settings).entropy1 is None


def test_only_the_total_carries_a_gradient_and_frozen_inputs_get_none():
    projected, decoded, prototypes = _inputs()
    decoded.requires_grad_()
    found = clustering_loss(projected, decoded, prototypes, ClusteringSettings())
    assert [value.requires_grad for value in found[:5]] == [True, False, False, False, False]
    torch.autograd.backward(found.total * 3)
    tripled = decoded.grad.clone()
    decoded.grad = None
    torch.autograd.backward(clustering_loss(projected, decoded, prototypes, ClusteringSettings()).total)
    assert torch.allclose(tripled, 3 * decoded.grad)
    with torch.no_grad():
        silent = clustering_loss(projected, decoded, prototypes, ClusteringSettings())
    assert not silent.total.requires_grad
    assert silent.total.item() == found.total.item()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_and_autocast_are_computed_in_float32(kind):
    projected, decoded, prototypes = _inputs()
    narrow = (projected.to(kind), decoded.to(kind), prototypes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, gradients = _gradients(clustering_loss, narrow, ClusteringSettings())
    wide, expected = _gradients(clustering_loss, [x.float() for x in narrow], ClusteringSettings())
    assert loss.total.dtype == torch.float32
    assert loss.total.item() == wide.total.item()
    assert [g.dtype for g in gradients] == [kind, kind, torch.float32]
    assert _apart(gradients[2], expected[2]) == 0
    assert _apart(gradients[0], expected[0]) < 1e-2


@pytest.mark.parametrize(("kind", "limit"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_narrow_scores_stay_near(kind, limit):
    inputs = _inputs(600, 200, 64)
    given = balance_weights(inputs[:1], inputs[1:2], inputs[2], ClusteringSettings())
    exact, expected = _gradients(clustering_loss, inputs, ClusteringSettings(), weights=given)
    ours, gradients = _gradients(clustering_loss, inputs, ClusteringSettings(scores=kind), weights=given)
    same = (ours.labels1_M == exact.labels1_M).float().mean()
    assert same > 0.9
    assert ours.total.item() == pytest.approx(exact.total.item(), rel=limit)
    assert all(g.dtype == torch.float32 and bool(g.isfinite().all()) for g in gradients)
    alike = F.cosine_similarity(gradients[0], expected[0])[ours.labels2_M == exact.labels2_M]
    assert float(alike.min()) > 0.999


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_undefined_inputs_are_an_error(place, bad):
    inputs = _inputs()
    inputs[place][3, 2] = bad
    with pytest.raises(FloatingPointError):
        clustering_loss(*inputs, ClusteringSettings())
    with pytest.raises(FloatingPointError):
        balance_weights(inputs[:1], inputs[1:2], inputs[2], ClusteringSettings())


def test_impossible_shapes_and_settings_are_an_error():
    projected, decoded, prototypes = _inputs()
    with pytest.raises(ValueError, match="got shapes"):
        clustering_loss(projected, decoded[:-1], prototypes, ClusteringSettings())
    with pytest.raises(ValueError, match="got shapes"):
        clustering_loss(projected, decoded, prototypes[:, 1:], ClusteringSettings())
    with pytest.raises(ValueError, match="epsilon > 0"):
        clustering_loss(projected, decoded, prototypes, ClusteringSettings(epsilon=0))


def test_zero_tokens_of_a_dead_network_stay_finite():
    projected, decoded, prototypes = _inputs()
    projected[:] = 0
    loss, gradients = _gradients(clustering_loss, (projected, decoded, prototypes), ClusteringSettings())
    assert bool(loss.total.isfinite())
    assert all(bool(g.isfinite().all()) for g in gradients)


def _peak(job):
    """Most bytes held at a time beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        job()
    held = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.parametrize("hard", [True, False])
def test_peak_memory_is_one_matrix_or_none_with_weights(monkeypatch, hard):
    monkeypatch.setattr(sinkhorn_module, "BLOCK", 1 << 14)
    inputs, settings = _inputs(1024, 512, 4), ClusteringSettings(hard=hard)
    matrix = 1024 * 512 * 4
    weights = balance_weights(inputs[:1], inputs[1:2], inputs[2], settings)
    unfused = _peak(lambda: _gradients(_unfused, inputs, settings))
    assert unfused > 3 * matrix
    assert matrix <= _peak(lambda: _gradients(clustering_loss, inputs, settings)) < 1.4 * matrix
    assert _peak(lambda: _gradients(clustering_loss, inputs, settings, weights=weights)) < 0.4 * matrix
    assert _peak(lambda: balance_weights(inputs[:1], inputs[1:2], inputs[2], settings)) < 1.4 * matrix


@examples(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 300), st.integers(0, 999), st.booleans())
def test_most_likely_is_argmax_with_the_first_of_equals(rows, columns, seed, coarse):
    values = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    values = (values * 3).round() if coarse else values
    assert torch.equal(most_likely(values), torch.from_numpy(values.numpy().argmax(1)))


@examples(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from([1e-3, 5e-3, 0.03, 0.05, 0.5]), st.integers(0, 12))
def test_weights_and_codes_equal_the_logarithmic_reference(seed, epsilon, iterations):
    scores = torch.rand(30, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    weights = balance(scores, epsilon, iterations)
    expected = _log_assignments(scores, epsilon, iterations)
    q = soft_codes(scores, weights, epsilon)
    assert weights.dtype == torch.float32
    assert not weights.requires_grad
    assert torch.allclose(q.double(), expected.exp(), atol=3e-6 + 1e-6 / epsilon)
    labels = codes(scores, weights, epsilon)
    assert torch.equal(labels, q.argmax(1))
    loss_of_choice = expected.amax(1) - expected.gather(1, labels.unsqueeze(1)).squeeze(1)
    assert float(loss_of_choice.max()) < 1e-5 / epsilon


def test_two_processes_give_the_result_of_their_union(tmp_path):
    inputs = _inputs(90)
    torch.save(inputs, tmp_path / "inputs.pt")
    program = textwrap.dedent(
        """
        import sys, torch, torch.distributed as dist
        from sigma_bench.losses.clustering import ClusteringSettings, balance_weights, clustering_loss
        folder, rank = sys.argv[1], int(sys.argv[2])
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
        projected, decoded, prototypes = torch.load(f"{folder}/inputs.pt", weights_only=True)
        projected, decoded = (x[rank * 45:(rank + 1) * 45].requires_grad_() for x in (projected, decoded))
        prototypes.requires_grad_()
        out = []
        for epsilon in (0.05, 0.004):
            settings = ClusteringSettings(epsilon=epsilon)
            weights = balance_weights([projected[:20], projected[20:]], [decoded[:20], decoded[20:]], prototypes,
                                      settings, dist.group.WORLD)
            for given in (None, weights):
                loss = clustering_loss(projected, decoded, prototypes, settings, dist.group.WORLD, given)
                out.append((loss.total.detach(), *torch.autograd.grad(loss.total, (projected, decoded, prototypes))))
        torch.save(out, f"{folder}/out{rank}.pt")
        if rank == 1:
            with torch.no_grad():
                projected[0] = float("nan")
        try:
            clustering_loss(projected, decoded, prototypes, settings, dist.group.WORLD)
        except FloatingPointError:
            dist.destroy_process_group()
        else:
            sys.exit("no error")
        """
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(rank)]) for rank in (0, 1)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    ranks = [torch.load(tmp_path / f"out{rank}.pt", weights_only=True) for rank in (0, 1)]
    for run, epsilon in enumerate((0.05, 0.05, 0.004, 0.004)):
        whole, expected = _gradients(clustering_loss, inputs, ClusteringSettings(epsilon=epsilon))
        losses, projected, decoded, prototypes = zip(*(rank[run] for rank in ranks), strict=True)
        assert torch.stack(losses).mean().item() == pytest.approx(whole.total.item(), rel=1e-6)
        assert _apart(torch.cat(projected) / 2, expected[0]) < 2e-6
        assert _apart(torch.cat(decoded) / 2, expected[1]) < 2e-6
        assert _apart(torch.stack(prototypes).mean(0), expected[2]) < 2e-6


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "limit"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_on_a_gpu(kind, limit):
    inputs = _inputs(600, 200, 64)
    expected, _ = _gradients(clustering_loss, inputs, ClusteringSettings())
    ours, gradients = _gradients(clustering_loss, [x.cuda() for x in inputs], ClusteringSettings(scores=kind))
    assert ours.total.item() == pytest.approx(expected.total.item(), rel=limit)
    assert all(g.dtype == torch.float32 and bool(g.isfinite().all()) for g in gradients)
