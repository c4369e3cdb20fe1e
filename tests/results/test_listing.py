"""Rows as lines for a person, and one of them whole."""

import json

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import listing
from sigma_bench.results.listing import Wanted
from sigma_bench.results.reading import Problem
from sigma_bench.results.row import Row

EARLY, LATE = "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"


def test_the_newest_row_of_each_measurement_is_listed_and_superseded_ones_if_asked(make_row):
    old, new = make_row(measured_at=EARLY, value=1.0), make_row(measured_at=LATE, value=2.0)
    assert [one.row for one in listing.select([new, old], Wanted())] == [new]
    found = listing.select([new, old], Wanted(superseded=True))
    assert [(one.row, one.superseded) for one in found] == [(old, True), (new, False)]
    assert "ok, superseded" in listing.lines(found)[1]


@pytest.mark.parametrize(
    ("wanted", "tasks"),
    [
        (Wanted(task="linear"), ["linear/k400", "linear/ssv2"]),
        (Wanted(task="linear/k400"), ["linear/k400"]),
        (Wanted(task="*/ssv2"), ["linear/ssv2"]),
        (Wanted(task="line"), []),
        (Wanted(system="video*"), ["seg/davis"]),
        (Wanted(suite="vos"), ["seg/davis"]),
        (Wanted(data="miniature"), ["linear/k400"]),
        (Wanted(status="failed"), ["seg/davis"]),
        (Wanted(task="linear", status="failed"), []),
    ],
)
def test_filters(make_row, wanted, tasks):
    rows = [
        make_row(measured_at="2025-01-03T00:00:00.000000Z"),
        make_row(task="linear/k400", data="miniature", measured_at=EARLY),
        make_row(task="seg/davis", system="videomae", suite="vos", status="failed", value=None, measured_at=LATE),
    ]
    assert [one.row.task for one in listing.select(rows, wanted)] == tasks


@pytest.mark.parametrize("wanted", [Wanted(data="mini"), Wanted(status="good")])
def test_a_filter_that_fits_nothing_ever_is_refused(wanted):
    with pytest.raises(UserError, match="expected one of"):
        listing.select([], wanted)


def test_lines_are_aligned_and_plain(make_row):
    rows = [
        make_row(system="a\x1b[31m\nb", interval_low=20.5, interval_high=21.75, seed=1),
        make_row(system="x" * 99, value=None, status="failed", n_decoded=3, seed=2),
        make_row(metric="mean_count_error", value=0.1234, status="partial", n_decoded=199),
    ]
    heading, *lines = listing.lines(listing.select(rows, Wanted()))
    assert len(lines) == 3
    place = heading.index("value")
    assert {line[place:].split("  ")[0] for line in lines} == {"21.00 [20.50, 21.75]", "-", "0.123"}
    assert "a\\x1b[31m\\nb" in lines[0]
    assert "..." + "x" * (listing.WIDEST - 3) + "  " in lines[1]
    assert "3/200" in lines[1]
    assert "199/200" in lines[2]
    assert all(line.isprintable() for line in lines)


def test_json_has_all_columns_and_the_damaged_lines(make_row, tmp_path):
    row = make_row(selection={"rate": 0.1})
    text = listing.as_json(listing.select([row], Wanted()), [Problem(tmp_path / "a.csv", 3, "torn")])
    found = json.loads(text)
    assert found["rows"][0]["id"] == row.id
    assert set(found["rows"][0]) == {"id", "superseded", *Row.model_fields}
    assert found["rows"][0]["selection"] == {"rate": 0.1}
    assert found["problems"] == [{"file": str(tmp_path / "a.csv"), "line": 3, "reason": "torn"}]


def test_damaged_lines_that_follow_each_other_are_one_line(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    problems = [Problem(a, n, "newer") for n in (2, 3, 4, 9)] + [Problem(a, 10, "torn"), Problem(b, 11, "torn")]
    assert listing.damaged(problems) == [
        f"not read: {a}:2-4: newer",
        f"not read: {a}:9: newer",
        f"not read: {a}:10: torn",
        f"not read: {b}:11: torn",
    ]
    many = listing.damaged([Problem(a, 2 * n, "torn") for n in range(70)])
    assert len(many) == 51
    assert "20 more" in many[-1]


def test_a_row_is_found_by_the_beginning_of_its_id_or_hash(make_row):
    rows = [make_row(seed=n) for n in range(40)]
    for row in rows:
        assert listing.find(rows, row.id) is row
        assert listing.find(rows, row.id.rpartition("-")[2]) is row
    first = rows[0].id.rpartition("-")[2][0]
    same = [row for row in rows if row.id.rpartition("-")[2].startswith(first)]
    if len(same) > 1:
        with pytest.raises(UserError, match=f"{len(same)} rows: .*{same[0].id}"):
            listing.find(rows, first)
    with pytest.raises(UserError, match=r"beginning of 40 rows: .* and 30 more"):
        listing.find(rows, "linear-ssv2")
    for nothing in ("zz", ""):
        with pytest.raises(UserError, match="no row"):
            listing.find(rows, nothing)


def test_show_has_every_column_with_its_meaning_and_unfolds_json(make_row):
    grid = {"grid": [[n / 7, n] for n in range(9)], "rate": 1e-05}
    row = make_row(selection=grid, error="two\nlines", status="partial")
    newer = make_row(measured_at="2999-01-01T00:00:00.000000Z")
    lines = list(listing.show(row, [row, newer]))
    text = "\n".join(lines)
    assert lines[0] == row.id
    assert newer.id in lines[1]
    for name, field in Row.model_fields.items():
        assert any(line.startswith(f"{name} ") for line in lines)
        assert " ".join(field.description.split()) in text
    assert '"rate": 1e-05' in text
    assert f"[{5 / 7}, 5]" in text
    assert "superseded" not in list(listing.show(newer, [row, newer]))[1]
