"""Rendered text is well formed whatever names and messages the rows hold."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.results import published, render, render_latex, render_markdown, tables
from sigma_bench.results.table import Block, Cell, Footnotes, Head, Line, Table
from sigma_bench.spec import load

NASTY = r"""a_b & c% $x$ #1 {y} ~ ^ \cmd | *b* [l](u) <i> "q" `code` 中 é"""


def table_of(name: str, text: str) -> Table:
    foot = Footnotes()
    cell = Cell("45.0", value=45.0, spread=1.25, count=3, difference=-0.04, best="best", marks=(foot.mark(text),))
    lines = [Line("measured", (name, text), [cell, Cell("–")])]
    heads = (Head("A", "linear/ssv2", "top1", "higher"), Head(text))
    return Table("T_1", "Title", text, ("Method", "Ref."), heads, ((text, 2),), [Block(text, lines)], foot, [text])


def latex_problems(text: str) -> list[str]:
    """Return what would stop LaTeX or move cells: characters, braces, the number of columns."""
    problems = [f"character {c!r}" for c in set(text) if not c.isascii() or not (c.isprintable() or c == "\n")]
    plain = text.replace("% needs \\usepackage{booktabs,adjustbox}", "").replace("\\\\", "")
    plain = re.sub(r"\\[{}$&#%_]", "", plain)
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            problems.append("brace closed twice")
            break
    problems += ["brace left open"] * (depth != 0) + ["odd number of $"] * (plain.count("$") % 2)
    problems += [f"raw {c}" for c in "#%~^_" if re.search(re.escape(c), re.sub(r"\$[^$]*\$|\\label\{.*?\}", "", plain))]
    found = re.search(r"\\begin\{tabular\}\{(\w+)\}(.*)\\end\{tabular\}", plain, re.DOTALL)
    rows = [line for line in (found[2].splitlines() if found else []) if "&" in line or "multicolumn" in line]
    for row in rows:
        width = sum(int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
        width += row.count("&") + 1 - row.count("\\multicolumn")
        if found and width != len(found[1]):
            problems.append(f"{width} columns: {row}")
    for line in text.splitlines():
        if re.match(r"\s*[\[*]", line):
            problems.append(f"line starts with an option: {line}")
    return problems


@pytest.fixture(scope="module")
def all_tables(published_dir) -> list[Table]:
    return tables.build_all(None, [], published.read(published_dir), load.layout())


def test_every_table_is_sound_latex(all_tables):
    for table in all_tables:
        text = render.render(table, "tex")
        assert latex_problems(text) == [], table.name
        assert text.count("\\begin{") == text.count("\\end{")
        if table.heads:
            assert [text.count(rule) for rule in ("\\toprule", "\\bottomrule")] == [1, 1]


def test_the_latex_check_sees_faults():
    good = render.render(table_of("x", NASTY), "tex")
    assert latex_problems(good) == []
    faults = (
        ("\\_", "_"),
        ("\\%", "%"),
        ("\\{", "{"),
        (" & ", " "),
        ("U+4E2D", "中"),
        ("$\\pm$", "$\\pm"),
        ("\\quad x &", "[x] &"),
    )
    for old, new in faults:
        assert old in good
        assert latex_problems(good.replace(old, new, 1)), old


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=30), text=st.text(max_size=60) | st.just(NASTY))
def test_any_text_stays_text(name, text):
    table = table_of(name, text)
    assert latex_problems(render.render(table, "tex")) == []
    markdown = render.render(table, "md")
    rows = [line for line in markdown.split("\n") if line.startswith("|")]
    assert len(rows) == (4 if text else 3)
    assert {len(re.sub(r"\\[\\|]", "", row).split("|")) for row in rows} == {6}
    assert "\x00" not in markdown
    cells = list(csv.reader(io.StringIO(render.render(table, "csv"), newline="")))
    assert {len(row) for row in cells} == {len(cells[0])}
    for cell, asked in zip(cells[1][4:6], (name, text), strict=True):
        assert cell[:1] not in ("=", "+", "-", "@")  # a spreadsheet would take it for a formula
        assert cell.removeprefix("'") == re.sub(r"[\r\n]+", " ", asked).removeprefix("'")


def test_markdown_neither_links_nor_formats():
    text = render_markdown.escape("[x](http://a.b) www.c <img src=x> **b** `c` a|b\nnext")
    assert text == r"\[x\](http\://a.b) www\.c &lt;img src=x&gt; \*\*b\*\* \`c\` a\|b next"


def test_a_cell_shows_spread_number_difference_and_marks():
    table = table_of("x", "note")
    assert "**45.0** ± 1.2 (n = 3) (0.0)<sup>a</sup>" in render.render(table, "md")
    tex = render.render(table, "tex")
    assert r"\textbf{45.0} ($0.0$)$^{\mathrm{a}}$\\[-2pt]{\scriptsize $\pm$ 1.2 (n = 3)}\end{tabular} &" in tex
    line = next(csv.DictReader(io.StringIO(render.render(table, "csv"))))
    assert (line["value"], line["sd"], line["n"], line["difference"], line["footnotes"]) == (
        "45.0", "1.25", "3", "0.0", "note",
    )  # fmt: skip


def test_column_groups_stand_over_their_columns(all_tables):
    by_name = {table.name: table for table in all_tables}
    assert "Clustering: YTVOS | Clustering: DAVIS | Overclustering: YTVOS" in render.render(by_name["T4"], "md")
    tex = render.render(by_name["T5"], "tex")
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-6}" in tex
    assert r"Samples (10\textasciicircum{}3)" in tex
    assert "| Mean |" in render.render(by_name["T5"], "md")


def test_footnotes_have_distinct_marks():
    foot = Footnotes()
    marks = [foot.mark(str(n)) for n in range(60)]
    assert marks[:2] + marks[25:28] == ["a", "b", "z", "aa", "ab"]
    assert len(set(marks)) == 60
    assert foot.mark("3") == marks[3]


def test_unknown_characters_are_named():
    assert render_latex.escape("中") == "{[}U+4E2D{]}"


def test_an_unknown_format_is_refused():
    with pytest.raises(UserError, match="expected one of md, tex, csv"):
        render.render(table_of("x", "y"), "docx")
