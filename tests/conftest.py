"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any_machine", deadline=None)  # a busy machine fails no test
settings.load_profile("any_machine")

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden vectors that are part of the repository."""
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real clips, masks and lists that may not be redistributed: beside the checkout, or $SIGMA_BENCH_SHARED."""
    place = Path(os.environ.get("SIGMA_BENCH_SHARED", Path(__file__).parents[2] / "shared"))
    if not (place / "real").is_dir():
        pytest.skip(f"no real test media at {place} (set SIGMA_BENCH_SHARED to the folder that holds real/)")
    return place
