"""Per-sample records are written whole, under safe names, inside the folder."""

import pandas as pd
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results.store import Store


def test_samples_are_written_whole_and_stay_in_the_folder(tmp_path, make_row):
    store = Store(tmp_path / "rows")
    frame = pd.DataFrame({"id": ["é", "b"], "prediction": [1, 2]})
    row = make_row()
    path = store.write_samples(row.id, frame)
    assert path == tmp_path / "rows" / "samples" / f"{row.id}.parquet"
    assert pd.read_parquet(path).equals(frame)
    outside = store.write_samples("../../evil", frame)
    assert outside.parent == tmp_path / "rows" / "samples"
    assert outside != store.write_samples("..___.evil", frame)
    assert not [p for p in outside.parent.iterdir() if p.name.startswith(".draft")]


def test_samples_that_fail_leave_the_old_file_and_no_draft(tmp_path):
    store = Store(tmp_path)
    frame = pd.DataFrame({"id": [1]})
    path = store.write_samples("x", frame)
    with pytest.raises(Exception, match=r"(?i)convert|type|object"):
        store.write_samples("x", pd.DataFrame({"id": [1, "a", object()]}))
    assert pd.read_parquet(path).equals(frame)
    assert [p.name for p in (tmp_path / "samples").iterdir()] == ["x.parquet"]


def test_a_linked_samples_folder_is_refused(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rows" / "samples").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="out of the folder"):
        Store(tmp_path / "rows").write_samples("x", pd.DataFrame({"id": [1]}))
