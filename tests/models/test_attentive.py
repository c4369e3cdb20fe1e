"""The attentive classifier is that of the definition, and knows no order of tokens."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.models.attentive import AttentiveHead


def head(dim=24, heads=4, classes=5, seed=0):
    torch.manual_seed(seed)
    made = AttentiveHead(dim, heads, classes)
    for parameter in made.parameters():  # as after a training: none is zero
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def by_definition(model, tokens_ND, heads):
    """One sample, head by head and token by token, in double precision."""
    p = {name: value.double() for name, value in model.named_parameters()}
    dim = tokens_ND.shape[1]
    width = dim // heads

    def norm(x, which):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{which}.weight"] + p[f"{which}.bias"]
        )

    query = p["query"][0, 0]
    q = p["q.weight"] @ query + p["q.bias"]
    keys_values = norm(tokens_ND.double(), "norm1") @ p["kv.weight"].T + p["kv.bias"]
    seen = []
    for number in range(heads):
        own = slice(number * width, (number + 1) * width)
        keys, values = keys_values[:, own], keys_values[:, dim:][:, own]
        share = torch.stack([q[own] @ key for key in keys]).div(math.sqrt(width)).softmax(0)
        seen.append(sum(s * value for s, value in zip(share, values, strict=True)))
    x = query + p["proj.weight"] @ torch.cat(seen) + p["proj.bias"]
    hidden = F.gelu(p["mlp.fc1.weight"] @ norm(x, "norm2") + p["mlp.fc1.bias"])
    x = x + p["mlp.fc2.weight"] @ hidden + p["mlp.fc2.bias"]
    return p["linear.weight"] @ x + p["linear.bias"]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 9), st.sampled_from([1, 2, 4]))
def test_scores_are_those_of_the_definition(seed, count, heads):
    model = head(heads=heads, seed=seed)
    tokens = torch.randn(2, count, 24, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found = model(tokens)
        for one, scores in zip(tokens, found, strict=True):
            torch.testing.assert_close(scores.double(), by_definition(model, one, heads), atol=1e-4, rtol=1e-4)


def test_the_order_of_tokens_does_not_count_and_a_sample_does_not_know_the_others():
    model, tokens = head(), torch.randn(3, 7, 24)
    with torch.no_grad():
        found = model(tokens)
        torch.testing.assert_close(model(tokens[:, torch.randperm(7)]), found)
        torch.testing.assert_close(model(tokens[1:2]), found[1:2])


def test_it_begins_as_its_source_says():
    torch.manual_seed(0)
    model = AttentiveHead(256, 8, 10)
    for part in (model.q, model.kv, model.mlp.fc1):
        assert part.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert not part.bias.any()
    for part in (model.proj, model.mlp.fc2):
        assert part.weight.std().item() == pytest.approx(0.02 / math.sqrt(2), rel=0.03)
    assert model.query.std().item() == pytest.approx(0.02, rel=0.2)
    assert model.linear.weight.abs().max() <= 1 / 16  # torch's own initialisation
    assert model.linear.bias.any()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="5 heads do not divide 24"):
        AttentiveHead(24, 5, 2)
