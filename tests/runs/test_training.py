import pytest

from sigma_bench.data.index import Index, Sample
from sigma_bench.runs.training import requests
from sigma_bench.spec import load


@pytest.mark.parametrize(
    "where", [{"start": 3, "end": 40}, {"start_s": 1.5, "end_s": 9.25}, {"start_s": 0.5, "end_s": 2.0, "fps": 24.0}, {}]
)
def test_a_training_clip_is_taken_from_where_its_sample_lies(tmp_path, where):
    other = Sample("a", "v/a.mp4", 0, "a", start=1, end=2)
    index = Index.build("x", "train", tmp_path, ["x"], [other, Sample("b", "v/b.mp4", 0, "b", **where)])
    made = requests(load.recipe("sigma_mlp", data="miniature", size="nano"), index)(1, (1, 2))
    assert made.path == str(tmp_path / "v/b.mp4")
    assert made.seed == (1, 2)
    for name in ("start", "end", "start_s", "end_s", "fps"):
        assert getattr(made, name) == where.get(name)
