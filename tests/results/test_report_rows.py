"""Rows packed for a page: the same rows come out, and what does not fit is named."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.results import report_rows
from sigma_bench.results.report_rows import FILES, GRIDS, packed, unpacked
from sigma_bench.results.stacks import stacked

TEXT = st.text(max_size=30) | st.sampled_from(["</script>", "<!--", "\u2028\u202e", "\x00", '"', "é"])


def plain(row):
    return json.loads(row.model_dump_json())


def whole(rows):
    return [{**plain(row), "id": row.digest[:8]} for row in rows]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "system": TEXT.filter(bool),
                "value": st.floats(0, 100),
                "seed": st.integers(0, 3),
                "marks": st.lists(TEXT, max_size=2),
                "selection": st.dictionaries(TEXT, st.lists(st.integers(), max_size=2) | st.none(), max_size=2),
                "artifacts": st.dictionaries(TEXT.filter(bool), TEXT, max_size=2),
                "limit": st.none() | st.just(200),
            }
        ),
        max_size=8,
    )
)
def test_all_rows_come_out_as_they_were(make_row, fields):
    rows = [make_row(**one) for one in fields]
    found = packed(rows)
    assert unpacked(found.text) == whole(rows)
    assert (found.kept, found.left_out) == (len(rows), ())
    assert set(found.text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_stacks_may_stand_in_another_order_than_rows(make_row):
    rows = [make_row(views=f"{n}x1", system=f"s{n % 2}", seed=n) for n in range(6)]
    stacks = stacked(rows)
    rows.reverse()
    assert unpacked(packed(rows, stacks=stacks).text) == whole(rows)


def test_columns_with_the_same_numbers_are_kept_once(make_row):
    rows = [make_row(system=f"s{n % 3}", checkpoint_sha256=f"{n % 3}" * 64, seed=n) for n in range(9)]
    columns = report_rows.unpack(packed(rows).text)["columns"]
    assert columns["system"]["c"] == [0, 1, 2] * 3
    assert columns["checkpoint_sha256"]["same"] == "system"
    assert columns["task"] == {"v": ["linear/ssv2"]}
    assert columns["seed"] == {"v": list(range(9))}


@pytest.fixture(scope="module")
def many(make_row):
    """Rows with settings, files and messages of their own each."""

    def noise(n, size):
        return "".join(hashlib.sha256(f"{n} {i}".encode()).hexdigest() for i in range(size))

    return [
        make_row(
            seed=n,
            selection={"rate": n / 7, "grid": [[n, noise(n, 3)]]},
            artifacts={"samples": f"samples/{noise(n, 2)}.parquet"},
            status="partial",
            n_decoded=100,
            error=noise(n, 9),
        )
        for n in range(300)
    ]


def test_grids_go_first_then_files_and_long_messages_then_rows(many):
    full = packed(many)
    assert full.left_out == ()
    size = len(full.text)
    without_grids = packed(many, most=size - 1)
    assert without_grids.left_out == (GRIDS,)
    assert unpacked(without_grids.text) == [
        {**row, "selection": {"rate": row["selection"]["rate"]}} for row in whole(many)
    ]
    without_files = packed(many, most=len(without_grids.text) - 1)
    assert without_files.left_out == (GRIDS, FILES)
    for found, row in zip(unpacked(without_files.text), whole(many), strict=True):
        assert found["artifacts"] == {}
        assert found["error"] == row["error"][: report_rows.LONGEST_ERROR] + " [cut]"
    few = packed(many, most=len(without_files.text) // 3)
    assert len(few.text) <= len(without_files.text) // 3
    assert 50 < few.kept < 150
    assert few.left_out == (GRIDS, FILES, f"{300 - few.kept} of 300 rows")
    assert [row["seed"] for row in unpacked(few.text)] == list(range(few.kept))


@pytest.mark.parametrize("most", [2_000, 4_000, 8_000])
def test_what_is_cut_is_the_beginning_of_the_rows_in_their_order(make_row, most):
    rows = [
        make_row(
            system=f"s{n % 7}",
            views=f"{n}x1" if n % 3 else "",
            checkpoint_sha256=hashlib.sha256(f"{n % 5}".encode()).hexdigest(),
            seed=n,
            measured_at=f"2026-01-01T00:00:00.{(n * 7919) % 1000000:06d}Z",
        )
        for n in range(400)
    ]
    rows.sort(key=lambda row: row.measured_at, reverse=True)
    found = packed(rows, most)
    assert 0 < found.kept < 400
    assert unpacked(found.text) == whole(rows)[: found.kept]


def test_settings_too_long_to_be_compressed_are_left_out_at_once(many):
    found = packed(many, most_grids=1000)
    assert found.left_out == (GRIDS,)
    assert [set(row["selection"]) for row in unpacked(found.text)] == [{"rate"}] * 300
