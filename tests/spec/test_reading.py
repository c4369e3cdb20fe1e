"""What the YAML reader takes, what it refuses, and that a refusal is a UserError that says where."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.spec import load


def write(folder: Path, text: str | bytes, name: str = "x.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load.load_yaml(path)
    return str(caught.value)


def test_values_and_the_lines_they_were_written_on(tmp_path: Path) -> None:
    document = load.load_yaml(write(tmp_path, "a: 1\nb:\n  c: [x, 2.5]\n  d: null\ne: yes\n"))
    assert document.values == {"a": 1, "b": {"c": ["x", 2.5], "d": None}, "e": True}
    assert document.origins[("b", "c")].where.endswith("x.yaml:3")
    assert document.origins[("b", "c", 1)].key == "b.c[1]"
    assert document.origins[("e",)].where.endswith("x.yaml:5")


@pytest.mark.parametrize(
    ("written", "better"),
    [
        ("1e-3", "1.0e-3"),
        ("2E5", "2.0e+5"),
        ("-1.5e3", "-1.5e+3"),
        (".5e3", "0.5e+3"),
        ("1.e4", "1.0e+4"),
        ("+3e+2", "+3.0e+2"),
    ],
)
def test_numbers_that_yaml_reads_as_text_are_named(tmp_path: Path, written: str, better: str) -> None:
    message = refusal(write(tmp_path, f"train:\n  lr: {written}\n"))
    assert f"x.yaml:2: train.lr: YAML reads {written} as text; write {better}" in message
    repaired = load.load_yaml(write(tmp_path, f"lr: {better}\n")).values["lr"]
    assert repaired == float(written)


@pytest.mark.parametrize("value", ["'1e-3'", "e5", "1e", "gym_1e3", "0.001", "1.0e-3"])
def test_other_texts_and_numbers_are_left_alone(tmp_path: Path, value: str) -> None:
    assert "v" in load.load_yaml(write(tmp_path, f"v: {value}\n")).values


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "a:\n  b: 1\n  c: 2\n  b: 3\n"))
    assert "x.yaml:4: a.b: stands twice, first in" in message
    assert "x.yaml:2" in message


def test_sexagesimal_numbers_are_text(tmp_path: Path) -> None:
    assert load.load_yaml(write(tmp_path, "ratio: 16:9\n")).values == {"ratio": "16:9"}


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty"),
        (b"# only a comment\n", "empty"),
        (b"---\n", "found null at the top"),
        (b"- a\n- b\n", "found a list of 2 at the top"),
        (b"just text\n", "found 'just text' (text) at the top"),
        (b"a: 1\n--- \nb: 2\n", "another document"),
        (b"a:\n\t- 1\n", "indent with spaces"),
        (b"a: [1, 2\nb: 3\n", "not YAML"),
        (b"a: \x00\x01\x02", "not text"),
        (b"a: caf\xe9\n", "x.yaml:1: not UTF-8"),
        (bytes(range(256)) * 20, "not UTF-8"),
        ("a: 1\n".encode("utf-16"), "not UTF-8"),
        (BOMB.encode(), "anchors and aliases"),
        (b"a: &x 1\nb: *x\n", "x.yaml:1: anchors and aliases"),
        (b"a: *nobody\n", "anchors and aliases"),
        (b"a: !!python/object/apply:os.system [ls]\n", "x.yaml:1: the tag"),
        (b"a: !thing 1\n", "x.yaml:1: the tag"),
        (b"a: !!binary aGVsbG8=\n", "x.yaml:1: the tag"),
        (b"a: !!set {x, y}\n", "x.yaml:1: the tag"),
        (b"a: !!map 3\n", "the tag"),
        (b"a: !!int [3]\n", "the tag"),
        (b"a: !!int x\n", "the tag"),
        (b"a: ! x\n", "the tag"),
        (b"a: 2024-01-01\n", "'timestamp' is not read; quote text"),
        (b"<<: {a: 1}\n", "expected a key of text"),
        (b"1: a\n", "expected a key of text"),
        (b"yes: a\n", "expected a key of text"),
        (b"? [a, b]\n: 1\n", "expected a key of text"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested deeper"),
        (b"a: " + b"[" * 5000, "nested deeper"),
        (b"a: " + b"{b: " * 3000 + b"1", "nested deeper"),
        (b"a: " + b"9" * 5000, "cannot read"),
        (b"a: 0b_\n", "cannot read"),
        (b'a: "\\UFFFFFFFF"\n', "not YAML"),
        (b'a: "\\uD800"\n', "surrogate"),
        (b"%YAML " + b"9" * 5000 + b".1\n--- {}\n", "not YAML"),
        (b"a: 1\n" * 100_000, "larger than 256 KiB"),
        (b"a: 1\n# \xe2\x80\x8b\x07\n", "not text"),
    ],
)
def test_hostile_files_are_refused_on_one_screen(tmp_path: Path, content: bytes, part: str) -> None:
    message = refusal(write(tmp_path, content))
    assert part in message
    assert "x.yaml" in message
    assert len(message) < 1500
    assert message.count("\n") <= 12


def test_many_problems_are_listed_together_up_to_ten(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "".join(f"k{i}: 1e-{i}\n" for i in range(1, 15))))
    assert message.startswith("14 problems in")
    assert message.count("YAML reads") == 10
    assert message.endswith("... and 4 more")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "absent.yaml")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300), st.text(alphabet="ab:-[]{}&*!|>'\"%@#,? \n\t01.e\\x", max_size=120).map(str.encode)
    )
)
@example(b"a: !!float _")
@example(b"!!str : x")
@example(b"a: !!null x")
@example(b"? ? a")
def test_any_bytes_give_a_document_or_a_user_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    try:
        values = load.load_yaml(path).values
    except UserError:
        values = {}
    assert isinstance(values, dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("[1e-3, 2]", [1e-3, 2]), ("null", None), ("true", True), ("abc", "abc"), ("'1e-3'", "1e-3")],
)
def test_set_arguments_are_yaml_with_plain_exponents(text: str, value: object) -> None:
    assert load.parse(text, "--set k") == value


@pytest.mark.parametrize("text", ["[1", "*x", "&a 1", "{a: 1, a: 2}", "!!python/name:os.system x", "\t1\t2: 3: 4"])
def test_faulty_set_arguments_are_named(text: str) -> None:
    with pytest.raises(UserError, match="--set k"):
        load.parse(text, "--set k")
