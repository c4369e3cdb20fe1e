"""LaTeX takes every table, filled with rows of every kind and with hostile names."""

import shutil
import subprocess

import pytest

from sigma_bench.results import published, render, tables
from sigma_bench.results.table import Block, Cell, Head, Line, Table
from sigma_bench.spec import load
from tests.results import made_up

NASTY = r"""a_b & c% $x$ #1 {y} ~ ^ \cmd | *b* [l](u) <i> "q" `code` 中 é ≠ ✓ -- ''"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here (Debian: texlive-latex-extra)")
def test_all_tables_compile_and_fit_the_page(tmp_path, published_dir, make_row):
    if subprocess.run(["kpsewhich", "adjustbox.sty"], capture_output=True, check=False).returncode:
        pytest.skip("TeX has no adjustbox (Debian: texlive-latex-extra)")
    built = tables.build_all(
        None, made_up.rows(make_row), published.read(published_dir), load.layout(), load.zoo().entries
    )
    hostile = Table("x_y", NASTY, NASTY, (NASTY, "b"), (Head(NASTY), Head("[c]")), ((NASTY, 2),))
    mark = hostile.footnotes.mark(NASTY)
    hostile.blocks = [Block(NASTY, [Line("measured", ("[x]", NASTY), [Cell(NASTY, marks=(mark,)), Cell("*")])])]
    body = "\\clearpage\n".join(render.render(table, "tex") for table in [*built, hostile])
    document = (
        f"\\documentclass{{article}}\\usepackage{{booktabs,adjustbox}}\\begin{{document}}\n{body}\\end{{document}}\n"
    )
    (tmp_path / "all.tex").write_text(document, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
    assert "Float too large" not in done.stdout
    assert done.stdout.count("[") >= len(built)
