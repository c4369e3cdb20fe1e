"""Settings are kept beside the rows under their hash, once and whole."""

import hashlib

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import settings

CONTENT = {"id": "linear/ssv2", "probe": {"rates": [1e-05, 0.1]}, "heads": 3}


def test_the_file_is_named_after_its_hash_and_written_once(tmp_path, make_row):
    name = settings.save(tmp_path, CONTENT, "id: linear/ssv2\n")
    sha256 = settings.sha256_of(CONTENT)
    assert name == f"settings/{sha256}.yaml"
    stored = tmp_path / "settings" / f"{sha256}.json"
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == sha256
    before = stored.stat().st_mtime_ns
    assert settings.save(tmp_path, dict(reversed(CONTENT.items())), "other: 1\n") == name
    assert stored.stat().st_mtime_ns == before
    assert (tmp_path / name).read_text() == "id: linear/ssv2\n"
    assert len(list((tmp_path / "settings").iterdir())) == 2
    assert settings.read(tmp_path, make_row(settings_sha256=sha256)) == CONTENT


def test_an_edited_file_is_refused(tmp_path, make_row):
    settings.save(tmp_path, CONTENT, "id: x\n")
    row = make_row(settings_sha256=settings.sha256_of(CONTENT))
    (tmp_path / "settings" / f"{row.settings_sha256}.json").write_text('{"heads": 4}')
    with pytest.raises(UserError, match="not the settings of its name"):
        settings.read(tmp_path, row)


@pytest.mark.parametrize("length", [16, 64])
def test_a_store_that_kept_the_task_alone_is_read(tmp_path, make_row, length):
    row = make_row()
    assert settings.read(tmp_path, row) is None
    (tmp_path / "settings").mkdir()
    name = f"{row.settings_sha256[:length]}.yaml"
    (tmp_path / "settings" / name).write_text("id: linear/ssv2\ntitle: T\nversion: 2\nnotes: []\n")
    assert settings.read(tmp_path, row) == {"id": "linear/ssv2", "version": 2}
