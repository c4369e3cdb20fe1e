"""Rows to play with."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sigma_bench.results.row import Row

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.fixture(scope="session")
def published_dir() -> Path:
    return PUBLISHED


@pytest.fixture(scope="session")
def make_row() -> Callable[..., Row]:
    """Return a function that makes a sound row; keywords replace its fields."""

    def make(**fields: Any) -> Row:
        sound: dict[str, Any] = {
            "system": "sigma_dino",
            "suite": "linear",
            "task": "linear/ssv2",
            "task_version": 1,
            "evaluator": "linear_released",
            "settings_sha256": "5" * 64,
            "checkpoint_sha256": "a" * 64,
            "train_sha256": "b" * 64,
            "test_sha256": "c" * 64,
            "train_count": 100,
            "test_count": 200,
            "n_expected": 200,
            "n_present": 200,
            "n_decoded": 200,
            "metric": "top1",
            "value": 21.0,
            "data": "official",
            "status": "ok",
        }
        return Row(**{**sound, **fields})

    return make


@pytest.fixture(scope="session")
def sigma_dino() -> dict[str, Any]:
    """The join key of SIGMA-DINO in table 1, as fields of a row."""
    return {
        "system": "sigma_dino",
        "method": "SIGMA-DINO",
        "backbone": "ViT-B",
        "pretrain_data": "K400",
        "epochs": "800",
        "motion_guidance": "no",
    }


@pytest.fixture
def measured(make_row, sigma_dino):
    """Make a row of SIGMA-DINO; each system has weights of its own."""

    def make(**fields):
        fields = {**sigma_dino, **fields}
        weights = hashlib.sha256(repr(sorted((k, v) for k, v in fields.items() if k == "system")).encode()).hexdigest()
        return make_row(**{"checkpoint_sha256": weights, **fields})

    return make
