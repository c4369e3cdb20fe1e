"""Text files of views: ids may hold anything, duplicates count once, what cannot be read is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.runs.verify.view_files import read

HEAD = "0.0, 0.0\n"
NAMES = st.text(st.sampled_from("ab [],_1é."), min_size=1, max_size=8).map(str.strip).filter(bool)


def folder(tmp_path_factory, *texts):
    made = tmp_path_factory.mktemp("views")
    for rank, text in enumerate(texts):
        (made / f"{rank}.txt").write_text(text, encoding="utf-8")
    return made


@given(st.dictionaries(NAMES, st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_what_is_written_is_read_whatever_the_ids(tmp_path_factory, samples):
    lines = [f"{name} {logits} {k} 0 {crop}\n" for k, (name, logits) in enumerate(samples.items()) for crop in (1, 0)]
    found = read(folder(tmp_path_factory, HEAD + "".join(lines), HEAD + "".join(lines[:2])))
    assert found.names == sorted(samples)
    assert found.duplicates == 2
    for name, logits, label in zip(found.names, found.logits, found.labels, strict=True):
        assert logits.tolist() == [samples[name]] * 2
        assert label == list(samples).index(name)


def test_views_are_ordered_by_chunk_and_crop_and_the_first_of_duplicates_counts(tmp_path_factory):
    lines = [f"v [{value}] 0 {chunk} {crop}\n" for value, chunk, crop in ((5, 1, 0), (6, 0, 11), (7, 0, 2), (8, 1, 0))]
    found = read(folder(tmp_path_factory, HEAD + "".join(lines)))
    assert found.logits[0].ravel().tolist() == [7, 6, 5]
    assert found.duplicates == 1


def test_files_follow_in_the_order_of_processes_and_others_are_left_alone(tmp_path_factory):
    made = folder(tmp_path_factory, *(HEAD + f"v [{rank}] 0 0 0\n" for rank in range(11)))
    (made / "log.txt").write_text("no views")
    assert read(made).logits[0].tolist() == [[0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"0\.txt:1: found ''"),
        ("v [1.0] 0 0 0\n", r"0\.txt:1: found 'v"),
        (HEAD, "hold no view"),
        (HEAD + "v [1.0, x] 0 0 0\n", r"0\.txt:2: a logit is no number"),
        (HEAD + "v [1.0, nan] 0 0 0\n", r"0\.txt:2: a logit is infinite or not"),
        (HEAD + "v [] 0 0 0\n", r"0\.txt:2: a logit is no number"),
        (HEAD + "v [1.0] 0 0\n", r"0\.txt:2: found 'v \[1.0\] 0 0', expected"),
        (HEAD + "v [1.0] 0 0 0\nw [1.0, 2.0] 0 0 0\n", r"0\.txt:3: w has 2 classes, label 0; expected 1"),
        (HEAD + "v [1.0] 0 0 0\nv [1.0] 1 0 1\n", r"0\.txt:3: v has 1 classes, label 1; expected 1, label 0"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_line(tmp_path_factory, text, message):
    with pytest.raises(UserError, match=message):
        read(folder(tmp_path_factory, text))


def test_a_folder_without_files_and_bytes_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no file of views"):
        read(tmp_path)
    (tmp_path / "0.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


def test_released_format_of_the_golden_files(golden):
    found = read(golden / "view_files")
    with np.load(golden / "videomae_merge.npz") as values:
        logits, targets = values["logits"], values["targets"]
    assert np.allclose(np.stack(found.logits), logits, atol=1e-6)
    assert (found.labels == targets).all()
    assert found.duplicates > 0
