"""Many lines read at once give what they give one by one, whatever stands among them."""

import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.results import bulk, parsed, reading
from sigma_bench.results import line as lines
from sigma_bench.results.reading import Parser, parse
from tests.results.test_store import anything, finite, json_values

CHANGES = st.tuples(
    st.integers(0, 10**6), st.sampled_from([b'"', b",", b"\r", b"\n", b"\\", b"\xff", b"0", b"\xef\xbb\xbf", b"\x00"])
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "system": anything.filter(bool),
        "error": anything,
        "value": finite,
        "params_m": st.none() | st.floats(0, 1e6),
        "limit": st.none() | st.integers(1, 2**40),
        "seed": st.integers(-(2**60), 2**60),
        "selection": st.dictionaries(anything, json_values, max_size=3),
        "marks": st.lists(anything, max_size=3),
    },
)


def one_by_one(text: bytes) -> Parser:
    parser = Parser()
    for part in text.split(b"\n")[:-1]:
        parser.take(part)
    return parser


def at_once(text: bytes) -> Parser:
    parser = Parser()
    parser.take_all(text)
    return parser


def seen(parser: Parser) -> tuple:
    kinds = [[type(value) for value in vars(row).values()] for row in parser.rows]
    return parser.rows, kinds, parser.number, parser.problems, list(parser.names)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(FIELDS, min_size=1, max_size=12),
    headers=st.lists(st.integers(0, 12), max_size=3),
    older=st.lists(st.integers(0, 12), max_size=2),
    changes=st.lists(CHANGES, max_size=3),
)
def test_the_same_as_one_by_one(make_row, monkeypatch, rows, headers, older, changes):
    monkeypatch.setattr(reading, "FEW", 1)
    true = [make_row(**fields) for fields in rows]
    written = [lines.encode(row) for row in true]
    names = [name for name in lines.HEADER if name not in ("decoder", "check")]
    for place in older:
        true.append(make_row(seed=place))
        cells = dict(zip(lines.HEADER, lines.split(lines.encode(true[-1])[:-1]), strict=True))
        written[place:place] = [lines._joined(names), lines._joined([cells[name] for name in names])]
    for place in headers:
        written.insert(place, lines.header())
    text = b"".join(written)
    for place, what in changes:
        place %= len(text)
        text = text[:place] + what + text[place:]
    text += b"" if text.endswith(b"\n") else b"\n"
    found, want = at_once(text), one_by_one(text)
    assert found.number == want.number
    if b'"' in [what for _, what in changes]:  # one that changes no cell is no fault where many are read
        assert all(row in found.rows for row in want.rows)
        assert all(row in true or row in want.rows for row in found.rows)
    else:
        assert seen(found) == seen(want)


def test_what_is_sound_is_not_read_line_by_line(make_row, monkeypatch):
    text = lines.header() + b"".join(lines.encode(make_row(seed=n, error='a "b",\n')) for n in range(300))
    monkeypatch.setattr(Parser, "take", lambda *_: pytest.fail("a line was read alone"))
    assert [row.seed for row in at_once(text).rows] == list(range(300))


def test_a_damaged_line_leaves_most_others_to_be_read_at_once(make_row, monkeypatch):
    written = [lines.encode(make_row(seed=n)) for n in range(1000)]
    written[600] = written[600].replace(b"sigma_dino", b"sigma_mlp")
    alone = []
    take = Parser.take
    monkeypatch.setattr(Parser, "take", lambda self, part: alone.append(part) or take(self, part))
    monkeypatch.setattr(reading, "FEW", 8 * len(written[0]))
    found = at_once(lines.header() + b"".join(written))
    assert [row.seed for row in found.rows] == [n for n in range(1000) if n != 600]
    assert [number for number, _ in found.problems] == [602]
    assert len(alone) <= 8


def test_rows_that_contradict_themselves_are_named(tmp_path, make_row, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(parsed, "WORTH", 1)
    monkeypatch.setattr(reading, "FEW", 1)
    cells = lines.split(lines.encode(make_row(seed=3))[:-1])
    cells[lines.HEADER.index("n_decoded")] = "201"
    cells[-1] = lines.checksum(lines.HEADER, cells)
    text = lines.encode(make_row(seed=1)) + lines._joined(cells) + lines.encode(make_row(seed=2))
    for _ in range(2):
        found = parse(tmp_path / "linear.csv", lines.header() + text)
        assert [row.seed for row in found] == [1, 2]
        assert [(problem.number, problem.reason[:40]) for problem in found.problems] == [
            (3, "row: Value error, n_decoded 201, n_prese")
        ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(anything, anything), max_size=6))
def test_a_check_is_the_hash_of_the_pairs_as_json(pairs):
    names, cells = [name for name, _ in pairs], [cell for _, cell in pairs]
    text = json.dumps([list(pair) for pair in pairs], ensure_ascii=False)
    assert lines.checksum(names, cells) == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert lines.checksum([*names, "check"], [*cells, "old"]) == lines.checksum(names, cells)


def test_cells_that_were_read_alone_are_kept_as_those_read_at_once(make_row):
    text = lines.header() + b"".join(lines.encode(make_row(seed=n, error="é\n")) for n in range(5))
    table = bulk.split(text[len(lines.header()) :])
    alone = bulk.coded([cells for part in text.split(b"\n")[:-1] if (cells := Parser(lines.HEADER).take(part))])
    assert alone.to_pydict() == table.to_pydict()
    assert bulk.coded([]).num_rows == 0
    assert bulk.rows(alone, lines.known) == bulk.rows(table, lines.read_all)


def checked(make_row, **cells):
    """Return a line with some cells replaced, its check true again."""
    found = dict(zip(lines.HEADER, lines.split(lines.encode(make_row())[:-1]), strict=True)) | cells
    told = [found[name] for name in lines.COLUMNS]
    return lines._joined([*told, lines.checksum(lines.COLUMNS, told)])


@pytest.mark.parametrize(
    "cells",
    [
        {"error": "e" * 20_001},
        {"marks": r'["\ud800"]'},
        {"artifacts": r'{"\uD800": "a"}'},
        {"selection": r'{"a": "\ud800"}'},
    ],
)
def test_what_was_changed_when_it_was_validated_is_the_same_on_the_second_read(tmp_path, make_row, monkeypatch, cells):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(parsed, "WORTH", 1)
    text = lines.header() + checked(make_row, **cells) * 2
    first, second = (parse(tmp_path / "linear.csv", text) for _ in range(2))
    assert list(first) == list(second)
    assert len(first) == 2


def test_a_cell_too_long_for_a_line_alone_is_too_long_among_many(make_row, monkeypatch):
    monkeypatch.setattr(reading, "FEW", 1)
    text = lines.header() + lines.encode(make_row()) * 2 + checked(make_row, error="e" * 131_073) * 2
    assert seen(at_once(text)) == seen(one_by_one(text))


def test_a_line_that_ends_in_a_carriage_return_makes_up_for_none_that_is_broken(make_row, monkeypatch):
    monkeypatch.setattr(reading, "FEW", 1)
    whole = lines.encode(make_row())
    text = lines.header() + whole[:-1] + b"\r" + whole + checked(make_row, error="a\nb") + whole
    assert seen(at_once(text)) == seen(one_by_one(text))
    ended = (lines.header() + whole * 3).replace(b"\n", b"\r\n")
    assert bulk.split(ended[len(lines.header()) + 1 :]).num_rows == 3


def test_what_arrow_cannot_hold_is_read_in_parts(make_row, monkeypatch):
    monkeypatch.setattr(reading, "FEW", 1)

    def full(*_):
        raise bulk.arrow.ArrowCapacityError("array cannot contain more than 2147483646 bytes")

    monkeypatch.setattr(bulk, "joined", full)
    text = lines.header() + b"".join(lines.encode(make_row(seed=n)) for n in range(5))
    assert seen(at_once(text)) == seen(one_by_one(text))
