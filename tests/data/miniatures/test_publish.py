import json
import threading

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.miniatures.publish import MARKER, publish


def fill(folder):
    (folder / "a").mkdir()
    (folder / "a" / "x").write_bytes(b"12")
    (folder / "y").write_bytes(b"3")


def never(folder):
    raise AssertionError("written although it is there")


def test_written_once_and_reused(tmp_path):
    first = publish(tmp_path / "deep" / "toy", "toy", 1, {"seed": 0}, fill)
    assert (first.reused, first.files, first.bytes) == (False, 2, 3)
    again = publish(tmp_path / "deep" / "toy", "toy", 1, {"seed": 0}, never)
    assert again.reused
    assert again.sha256 == first.sha256
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"toy", ".toy.lock"}


@pytest.mark.parametrize(("version", "seed"), [(2, 0), (1, 1)])
def test_another_version_or_setting_replaces(tmp_path, version, seed):
    publish(tmp_path / "toy", "toy", 1, {"seed": 0}, fill)
    (tmp_path / "toy" / "left-over").touch()
    assert not publish(tmp_path / "toy", "toy", version, {"seed": seed}, fill).reused
    assert not (tmp_path / "toy" / "left-over").exists()


@pytest.mark.parametrize(
    "damage", [lambda r: (r / "y").write_bytes(b"4"), lambda r: (r / "y").unlink(), lambda r: (r / "z").touch()]
)
def test_a_changed_one_is_written_anew(tmp_path, damage, caplog):
    first = publish(tmp_path / "toy", "toy", 1, {}, fill)
    damage(tmp_path / "toy")
    again = publish(tmp_path / "toy", "toy", 1, {}, fill)
    assert not again.reused
    assert again.sha256 == first.sha256
    assert "has been changed" in caplog.text


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "toy").mkdir()
    assert not publish(tmp_path / "toy", "toy", 1, {}, fill).reused  # an empty folder is in nobody's way
    (tmp_path / "toy" / MARKER).unlink()
    with pytest.raises(UserError, match="is not a miniature"):
        publish(tmp_path / "toy", "toy", 1, {}, never)
    assert (tmp_path / "toy" / "y").read_bytes() == b"3"


OTHER = {"name": "other", "version": 1, "settings": {}, "files": 1, "bytes": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a miniature"),
        ("[]", "is not a miniature"),
        ("{}", "is not a miniature"),
        ('{"name": "toy", "version": 1}', "is not a miniature .no miniature.json with bytes, files, name,"),
        (json.dumps(OTHER), "holds the miniature of other, not of toy"),
    ],
)
def test_what_some_file_of_that_name_lies_in_is_left_alone(tmp_path, text, message):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / MARKER).write_text(text)
    with pytest.raises(UserError, match=message):
        publish(tmp_path / "toy", "toy", 1, {}, never)
    assert (tmp_path / "toy" / MARKER).read_text() == text


def test_an_interrupted_run_leaves_nothing_complete(tmp_path):
    def interrupted(folder):
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "toy", "toy", 1, {}, interrupted)
    assert not (tmp_path / "toy").exists()
    assert publish(tmp_path / "toy", "toy", 1, {}, fill).files == 2


def test_two_at_once_write_it_once(tmp_path):
    calls = []

    def counted(folder):
        calls.append(folder)
        fill(folder)

    threads = [threading.Thread(target=publish, args=(tmp_path / "toy", "toy", 1, {}, counted)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
