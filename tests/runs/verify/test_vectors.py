"""Reading golden files of arrays: what is damaged or hostile is refused by name."""

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.runs.verify.vectors import load


def damaged(data: bytes) -> bytes:
    half = len(data) // 2
    return data[: half - 50] + bytes(100) + data[half + 50 :]


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"hello", damaged]
)
def test_damaged_arrays_are_refused_with_their_file(tmp_path, damage):
    path = tmp_path / "a file.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=500))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"a file\.npz"):
        load(path)


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}, 1], dtype=object))
    with pytest.raises(UserError, match="Object arrays"):
        load(tmp_path / "x.npz")


def test_arrays_come_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.array(2.5))
    values = load(tmp_path / "x.npz")
    assert values["a"].tolist() == [0, 1, 2]
    assert float(values["b"]) == 2.5
