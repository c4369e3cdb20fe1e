"""The part of a model that gives the first undefined number is named, and the extent of the others is right."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.train import undefined


class Spoil(nn.Module):
    """Makes one entry undefined."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return x.index_fill(0, torch.tensor([1]), self.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_first_part_is_named(value, place):
    parts = [nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 3)]
    parts.insert(place, Spoil(value))
    model = nn.Sequential(nn.Sequential(*parts), nn.Linear(3, 2))
    with undefined.Watch().on(model) as watch:
        model(torch.ones(4, 3))
    assert watch.first == f"0.{place} (Spoil), its inputs are finite"
    watch.first = ""
    model(torch.ones(4, 3))
    assert watch.first == ""  # no longer looked at


def test_undefined_inputs_are_told_and_finite_ones_are_silent():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    with undefined.Watch().on(model) as watch:
        model(torch.ones(4, 3))
        assert watch.first == ""
        model(torch.full((4, 3), math.nan))
    assert watch.first == "0 (Linear), its inputs are not finite already"


def test_parameters_and_gradients():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    assert undefined.parameter(model) == undefined.parameter(model, gradient=True) == ""
    (model(torch.ones(4, 3)).sum() * math.inf).backward()
    assert undefined.parameter(model) == ""
    assert undefined.parameter(model, gradient=True) == "0.weight"
    model[1].bias.data[0] = math.nan
    assert undefined.parameter(model) == "1.bias"


def test_extents():
    assert undefined.extent(torch.tensor([1.0, -2.0, 3.0])) == "-2 to 3"
    assert undefined.extent(torch.tensor([1.0, math.nan, math.inf])) == "1 to 1, 2 of 3 not finite"
    assert undefined.extent(torch.tensor([math.nan])) == "nothing finite, 1 of 1 not finite"


def test_the_extent_of_scores_is_that_of_the_whole_matrix(monkeypatch):
    features, prototypes = torch.randn(2, 50, 8), F.normalize(torch.randn(20, 8), dim=1)
    scores = F.normalize(features.flatten(0, 1), dim=1) @ prototypes.t()
    expected = undefined.extent(scores)
    for block in (1, 300, 10**6):
        monkeypatch.setattr(undefined, "BLOCK", block)
        assert undefined.scores_extent(features, prototypes) == expected
    features[0, 3, 2] = math.nan
    assert undefined.scores_extent(features, prototypes).endswith(", 20 of 2000 not finite")
