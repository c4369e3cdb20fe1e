"""The page of a report as text: whole, self-contained, harmless, with every value on it."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sigma_bench.results import published, report_page, report_rows, tables
from sigma_bench.results.report import Material, render
from sigma_bench.results.stacks import stacked
from sigma_bench.results.store import latest
from sigma_bench.spec import load
from tests.results import made_up
from tests.results.made_up_report import HOSTILE

ASSETS = Path(report_page.HERE) / "assets"
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Tags with their attributes, text, contents of scripts, and whether all that opens closes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.scripts, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts[-1] += data
        else:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def material(published_dir, tmp_path_factory):
    values, layout = published.read(published_dir), load.layout()

    def make(rows):
        return Material(
            folder=tmp_path_factory.mktemp("rows"),
            stacks=stacked(latest(rows)),
            superseded=len(rows) - len(latest(rows)),
            paper=tables.build_all(list(layout.tables), rows, values, layout, load.zoo().entries),
            published=values,
            layout=layout,
            suites={name: load.suite(name) for name, _ in load.listing("suites")},
        )

    return make


@pytest.fixture(scope="module")
def page(material, make_row):
    rows = made_up.rows(make_row)
    rows += [
        make_row(system=name, checkpoint_sha256=f"{n:064x}", suite=name, task="mine/x")
        for n, name in enumerate(HOSTILE)
    ]
    text = render(material(rows), "now", "0")
    return rows, text, Page(text)


def test_the_page_is_whole_and_needs_nothing_else(page):
    _, text, read = page
    assert read.open == []
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    assert [one["href"] for one in read.all("link")] == ["data:,"]
    assert not [
        one
        for tag in ("script", "img", "source")
        for one in read.all(tag)
        if not one.get("src", "data:").startswith("data:")
    ]
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_browser_may_run_these_scripts_and_nothing_else(page):
    _, _, read = page
    (policy,) = [one["content"] for one in read.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "connect-src" not in rules
    run = [text for text, one in zip(read.scripts, read.all("script"), strict=True) if "type" not in one]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert len(run) == len(report_page.LIBRARIES) + 1


def test_links_lead_somewhere_and_ids_are_single(page):
    _, _, read = page
    ids = [one["id"] for _, one in read.tags if "id" in one]
    assert len(set(ids)) == len(ids)
    assert {one["href"][1:] for one in read.all("a")} <= set(ids)
    for _, one in read.tags:
        assert set(one.get("aria-labelledby", "").split()) <= {*ids, "provenance-h"}


def test_every_published_and_measured_value_is_on_the_page_with_what_is_behind_it(page, published_dir):
    rows, text, read = page
    numbers = report_rows.unpacked(read.scripts[0])
    content = report_rows.unpack(read.scripts[1])
    assert len(numbers) == len(rows)
    values = published.read(published_dir).values
    assert [one["value"] for one in content["printed"]] == [value.value for value in values]
    shown = {int(one["data-p"]) for one in read.all("button") if "data-p" in one}
    assert shown == set(range(len(values)))
    behind = {int(n) for one in read.all("button") for n in one.get("data-b", "").split()}
    assert behind == set(range(len(rows)))
    found = re.search(r'<button data-b="(\d+)">20.5</button>', text)
    row = numbers[int(found[1])]
    assert (row["system"], row["task"], row["value"]) == ("sigma_dino_k400_b800", "linear/ssv2", 20.5)


def test_kinds_of_data_never_share_a_section(page):
    rows, text, _ = page
    views = {part.split('"')[0]: part for part in re.split(r'<section class="view" id="', text)[1:]}
    numbers = report_rows.unpacked(Page(text).scripts[0])
    for view, kinds in {"paper": {"official"}, "official": {"official"}, "miniature": {"miniature"}}.items():
        behind = {int(n) for found in re.findall(r'data-b="([\d ]+)"', views[view]) for n in found.split()}
        assert {numbers[n]["data"] for n in behind} == kinds
    assert "no value here can be compared with the paper" in views["miniature"]
    assert "custom" not in views
    assert any(row.data == "miniature" for row in rows)


def test_hostile_names_stay_text(page):
    _, text, read = page
    assert len(read.scripts) == len(report_page.LIBRARIES) + 3
    assert "window.hit" in read.text
    assert "<script>window" not in text
    assert "\u202e" not in text
    assert "\\u2028\\u202e" in read.text
    assert "{{ 7*7 }}${7*7}<!--" in read.text
    assert not read.all("img")


def test_tables_have_captions_and_scopes(page):
    _, _, read = page
    assert len(read.all("caption")) == len(read.all("table"))
    assert all(one.get("scope") in ("col", "row", "colgroup", "rowgroup") for one in read.all("th"))


def test_a_page_without_rows_shows_the_paper_and_says_what_to_do(material):
    read = Page(render(material([]), "now", "0"))
    assert "Nothing was measured yet" in read.text
    assert "20.8" in read.text
    assert read.open == []


def test_libraries_are_those_of_the_list_with_their_licences(page):
    _, text, _ = page
    sums = dict(reversed(line.split("  ")) for line in (ASSETS / "SHA256SUMS").read_text().splitlines())
    assert sums.keys() == report_page.LIBRARIES.keys() == {file.name for file in ASSETS.glob("*.js")}
    about = (ASSETS / "README.md").read_text(encoding="utf-8")
    for name, licence in report_page.LIBRARIES.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == sums[name]
        assert (ASSETS / licence).read_text(encoding="utf-8").strip() in text
        assert name in about
    assert "sourceMappingURL" not in text


@pytest.mark.parametrize("script", ["x = '</SCRIPT>'", "<!-- x"])
def test_a_script_that_would_end_its_element_is_refused(script):
    with pytest.raises(ValueError, match="end its own element"):
        report_page._harmless(script)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("linear/ssv2 top1", "linear/<wbr>ssv2 top1"),
        ("a" * 30, "a" * 24 + "<wbr>" + "a" * 6),
        ("<b>\u202e", "&lt;b&gt;\\u202e"),
        (
            "x" * 20 + "/" + "y" * 100,
            "x" * 20 + "/<wbr>" + "y" * 4 + "…" + "y" * 19 + "<wbr>" + "y" * 24 + "<wbr>" + "y" * 7,
        ),
        ("", ""),
    ],
)
def test_names_break_where_a_reader_expects_it(name, shown):
    assert str(report_page.breakable(name)) == shown
