"""Position tables: MVD's 3-D table, and fitting a table to another grid."""

import math

import pytest
import torch

from sigma_bench.models.positions import interpolate, sincos_1d, sincos_3d


def test_the_3d_table_is_written_time_column_row_each_sines_then_cosines():
    table = sincos_3d((2, 3, 4), 32)[0].reshape(2, 3, 4, 32)
    t, row, column = 1, 2, 3
    expected = []
    for place, width in ((t, 8), (column, 12), (row, 12)):
        angles = [place / 10000 ** (k / (width / 2)) for k in range(width // 2)]
        expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    torch.testing.assert_close(table[t, row, column], torch.tensor(expected), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="divisible by 16"):
        sincos_3d((1, 1, 1), 24)


def test_interpolation_keeps_the_same_grid_and_what_is_linear():
    table = sincos_1d(2 * 3 * 3, 8)
    torch.testing.assert_close(interpolate(table, (2, 3, 3), (2, 3, 3)), table)
    time = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 3, 8).reshape(1, -1, 8)  # grows by one a step in time
    double = interpolate(time, (4, 3, 3), (8, 3, 3)).reshape(8, 3, 3, 8)
    torch.testing.assert_close(double[:, 0, 0, 0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))
    row = torch.randn(8, generator=torch.Generator().manual_seed(0))
    wider = interpolate(row.view(1, 8, 1, 1).expand(2, 8, 8, 4).reshape(1, -1, 4), (2, 8, 8), (2, 16, 16))
    # a new place of index 9 lies at (9 + 0.5) / 2 - 0.5 = 4.25; the kernel is the cubic convolution with a = -0.75
    weights = torch.tensor([_cubic(abs(4.25 - place)) for place in range(8)])
    torch.testing.assert_close(wider.reshape(2, 16, 16, 4)[1, 9, 5], (weights @ row).expand(4))


def _cubic(x: float, a: float = -0.75) -> float:
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0
