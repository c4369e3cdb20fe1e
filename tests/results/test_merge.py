"""Stores of several machines become one: nothing doubled, nothing lost, the sources as they were."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results import settings
from sigma_bench.results.merge import Merged, merge, report
from sigma_bench.results.store import Store


def content(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith(".lock")
    }


@pytest.fixture
def machine(tmp_path, make_row):
    """Make a store with rows, settings and samples."""

    def make(name, seeds):
        store = Store(tmp_path / name)
        for seed in seeds:
            setting = {"id": "linear/ssv2", "seed": seed // 10}
            when = f"2025-01-01T00:00:00.{seed:06}Z"
            row = make_row(seed=seed, settings_sha256=settings.sha256_of(setting), measured_at=when)
            kept = settings.save(store.folder, setting, "id: linear/ssv2\n")
            samples = store.write_samples(row.id, pd.DataFrame({"id": [str(seed)]}))
            files = {"settings": kept, "samples": samples.relative_to(store.folder).as_posix()}
            store.append("linear", [row.model_copy(update={"artifacts": files})])
        return store.folder

    return make


def test_rows_and_files_are_joined_once(tmp_path, machine, make_row):
    one, two, into = machine("one", [1, 2, 11]), machine("two", [2, 3]), tmp_path / "all"
    Store(two).append("severe", [make_row(suite="severe", task="severe/gym99")])
    before = content(one), content(two)
    done = merge([one, two], into)
    assert (done.added, done.known, done.conflicts, done.problems, done.notes) == (5, 1, [], [], [])
    assert (content(one), content(two)) == before
    found = Store(into).read()
    assert [row.seed for row in found] == [1, 2, 11, 3, 0]
    for row in found[:4]:
        assert pd.read_parquet(into / row.artifacts["samples"])["id"].tolist() == [str(row.seed)]
        assert settings.read(into, row) == {"id": "linear/ssv2", "seed": row.seed // 10}
    after = content(into)
    again = merge([two, one], into)
    assert (again.added, again.known, again.files) == (0, 6, 0)
    assert content(into) == after
    assert report(again, into) == [f"{into}: 0 rows added, 6 were there, 0 files copied"]


def test_a_row_of_the_same_id_and_other_content_is_a_conflict(tmp_path, make_row):
    row = make_row()
    Store(tmp_path / "a").append("linear", [row])
    Store(tmp_path / "b").append("linear", [row.model_copy(update={"value": 99.0}), make_row(seed=1)])
    done = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert done.added == 2
    assert len(done.conflicts) == 1
    assert "other value than" in done.conflicts[0]
    assert row.id in done.conflicts[0]
    assert [r.value for r in Store(tmp_path / "all").read()] == [21.0, 21.0]


def test_damaged_lines_are_reported_and_not_carried(tmp_path, machine, make_row):
    source = machine("one", [1, 2])
    file = source / "linear.csv"
    edited = file.read_bytes().replace(b",21.0,", b",91.0,", 1) + b"1,2026-torn"
    file.write_bytes(edited)
    names = sorted(p.name for p in source.iterdir())
    done = merge([source], tmp_path / "all")
    assert [(p.file, p.number) for p in done.problems] == [(file, 2), (file, 4)]
    assert done.added == 1
    assert b"91.0" not in (tmp_path / "all" / "linear.csv").read_bytes()
    assert file.read_bytes() == edited
    assert sorted(p.name for p in source.iterdir()) == names


def test_an_older_header_is_carried_under_the_present_one(tmp_path, make_row):
    old = [name for name in lines.COLUMNS if name not in ("step", "steps", "source")]
    row = make_row(variant="a\nb")
    cells = dict(zip(lines.HEADER, lines.split(lines.encode(row)[:-1]), strict=True))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "linear.csv").write_bytes(lines._joined(old) + lines._joined([cells[name] for name in old]))
    assert merge([tmp_path / "old"], tmp_path / "all").added == 1
    found = Store(tmp_path / "all").read()
    assert list(found) == [row]
    assert merge([tmp_path / "old"], tmp_path / "all").known == 1


def test_paths_of_another_machine_and_outside_are_noted_and_not_followed(tmp_path, make_row):
    (tmp_path / "secret").write_text("s")
    source = tmp_path / "one"
    source.mkdir()
    (source / "link").symlink_to(tmp_path / "secret")
    files = {"a": "/etc/hostname", "b": "../secret", "c": "link", "d": "masks/gone.png"}
    files |= {"e": "C:\\x.png", "f": "m/m.png"}
    (source / "m").mkdir()
    (source / "m" / "m.png").write_bytes(b"png")
    Store(source).append("linear", [make_row(artifacts=files)])
    done = merge([source], tmp_path / "all")
    assert done.added == 1
    assert len(done.notes) == 5
    expected = {"hostname": "of its machine", "../secret": "outside", "link": "outside", "gone": "not in"}
    for name, words in expected.items():
        assert any(name in note and words in note for note in done.notes)
    assert [p for p in content(tmp_path / "all") if not p.endswith("csv")] == ["m/m.png"]
    assert Store(tmp_path / "all").read()[0].artifacts == files


def test_a_file_of_other_content_is_a_conflict_and_the_first_stays(tmp_path, make_row):
    for name in ("a", "b"):
        Store(tmp_path / name).append("linear", [make_row(artifacts={"x": "x.png"}, seed=ord(name))])
        (tmp_path / name / "x.png").write_text(name)
    done = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert done.added == 2
    assert "other content" in done.conflicts[0]
    assert (tmp_path / "all" / "x.png").read_text() == "a"


def test_what_cannot_be_merged_is_refused(tmp_path, machine):
    one = machine("one", [1])
    with pytest.raises(UserError, match="expected a folder that holds row files"):
        merge([tmp_path / "nothing"], tmp_path / "all")
    with pytest.raises(UserError, match="both merged and the target"):
        merge([one], one / ".." / "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        merge([one], tmp_path / "file")


def test_many_notes_are_counted(tmp_path):
    done = Merged(notes=[f"file {number}" for number in range(70)])
    assert report(done, tmp_path)[-2:] == ["note: file 49", "note: and 20 more files of rows that were not copied"]
    assert len(report(Merged(notes=["x"] * 70), tmp_path)) == 2


def test_a_row_whose_suite_is_no_file_name_holds_up_no_others(tmp_path, make_row):
    rows = [make_row(suite=suite, seed=seed) for seed, suite in enumerate(("a", "../../evil", "b"))]
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "x.csv").write_bytes(lines.header() + b"".join(map(lines.encode, rows)))
    done = merge([tmp_path / "from"], tmp_path / "into")
    assert (done.added, len(done.conflicts)) == (2, 1)
    assert "'../../evil' is no name of a file" in done.conflicts[0]
    assert [row.seed for row in Store(tmp_path / "into").read()] == [0, 2]
    assert not (tmp_path.parent / "evil.csv").exists()
