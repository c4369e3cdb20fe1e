"""The page of all tables: whole, self-contained, and text stays text whatever the rows hold."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.results import published, render_html, tables
from sigma_bench.results.table import Block, Cell, Head, Line, Table
from sigma_bench.spec import load
from tests.results import made_up

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page: cells of each line, all text, tags that do not close, and where links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.lines: list[list[str]] = []
        self.widths: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(given)
        self.ids += [given[name] for name in ("id",) if name in given]
        self.links += [given[name] for name in ("href",) if name in given]
        if tag == "tr":
            self.lines.append([])
            self.widths.append(0)
        elif tag in ("td", "th"):
            self.lines[-1].append("")
            self.widths[-1] += int(given.get("colspan", 1))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.lines[-1][-1] += data


@pytest.fixture(scope="module")
def page(published_dir, make_row) -> tuple[str, Page]:
    built = tables.build_all(
        None, made_up.rows(make_row), published.read(published_dir), load.layout(), load.zoo().entries
    )
    text = render_html.render(built)
    return text, Page(text)


def test_the_page_is_whole_and_needs_nothing_else(page):
    text, read = page
    assert read.open == []
    assert read.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert "url(" not in text
    assert "@import" not in text
    assert not [name for name in read.attributes if name.startswith("on")]
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert len(set(read.ids)) == len(read.ids)
    assert "prefers-color-scheme: dark" in text


def test_every_published_value_is_on_the_page(page, published_dir):
    cells = {re.sub(r"[a-z,]+$", "", cell) for line in page[1].lines for cell in line}
    assert {value.value for value in published.read(published_dir).values} <= cells


def test_lines_are_as_wide_as_their_table(page):
    for part in re.split("<section", page[0])[1:]:
        assert len(set(Page("<section" + part.split("</section>")[0]).widths)) <= 1


def test_cells_show_value_difference_interval_and_reasons(page):
    text = page[1].text
    for words in ("not run", "no public weights", "partial 97 %", "failed: CUDA out of memory", "± 0.7 (n = 3)"):
        assert words in text
    line = next(line for line in page[1].lines if line[0].startswith("sigma_dino_k400_b800 (measured)"))
    assert line[2] == "20.5 (-0.3)[20.1, 20.9]"
    assert "my & our_model <v2> 50%" in text
    assert "99.0" not in [cell for line in page[1].lines[:200] for cell in line]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40) | st.just("<script>alert('x')</script>\"'&amp;{{ 7*7 }}"))
def test_any_text_stays_text(words):
    cell = Cell(words, value=1.0, source=words)
    table = Table("T1", words, words, (words,), (Head(words, metric="top1"),), ((words, 1),))
    table.blocks = [Block(words, [Line("measured", (words,), [cell])])]
    table.remarks = [words]
    read = Page(render_html.render([table]))
    assert "script" not in read.tags
    assert read.open == []
    clean = re.sub(r"\s+", " ", words.replace("\x00", "\ufffd")).strip()
    assert clean in re.sub(r"\s+", " ", read.text.replace("\x00", "\ufffd"))
