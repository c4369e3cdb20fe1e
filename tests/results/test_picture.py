"""A table as a picture: readable size, every table drawable, nothing runs out of it."""

import pytest
from matplotlib import image

from sigma_bench.results import picture, published, tables
from sigma_bench.spec import load, roots


@pytest.mark.parametrize("name", ["T1", "T5", "T13"])
def test_nothing_is_drawn_beyond_the_edge(name, tmp_path):
    layout = load.layout()
    table = tables.build(name, [], published.read(roots.find("published", "published.csv").parent), layout)
    picture.draw(table, tmp_path / "t.png")
    pixels = image.imread(tmp_path / "t.png")[..., :3]
    assert pixels.min() < 0.2  # there is ink
    for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
        assert edge.min() > 0.99
