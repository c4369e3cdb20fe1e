"""The report in a browser: it works by mouse and keyboard, asks no network for anything, and no text becomes code."""

import json
import shutil
import time
from itertools import pairwise

import pytest

from sigma_bench.runs.report import Request, report
from tests.results.made_up_report import HOSTILE, write

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
HELP = """
const all = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
const choose = (select, value) => { select.value = value; select.dispatchEvent(new Event('change')); };
const numbers = (bodies, column) => [...bodies].map((body) =>
  [...body.querySelectorAll(`td:nth-child(${column})[data-v]`)].map((td) => Number(td.dataset.v)));
const filled = (bodies, column) => [...bodies].map((body) => [...body.querySelectorAll('tr:not(.block)')].map((tr) =>
  tr.querySelector(`td:nth-child(${column})[data-v]`) !== null));
const facts = () => Object.fromEntries([...document.querySelectorAll('dialog .facts tr')].map((tr) =>
  [tr.cells[0].firstChild.textContent, tr.cells[1].textContent]));
"""
"""Before every script of a test."""
BAD_CONTRAST = """
const channel = (c) => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
const read = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = read(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = new Set();
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !node.checkVisibility()) continue;
  if (node.closest('script, svg, :disabled, .matrix')) continue;
  const style = getComputedStyle(node);
  const [a, b] = [light(read(style.color)), light(behind(node))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) found.add(`${node.tagName}.${node.className} ${style.color} on ${behind(node)}: ${ratio}`);
}
return [...found];
"""


@pytest.fixture(scope="module")
def page(make_row, tmp_path_factory):
    here = pytest.MonkeyPatch()
    folder = write(tmp_path_factory.mktemp("made up"), make_row)
    here.chdir(folder)
    report(Request(runs=[folder / "runs"]))
    here.undo()
    return (folder / "results" / "report.html").as_uri()


@pytest.fixture(scope="module")
def driver():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra: dev)")
    from selenium.webdriver.chrome.service import Service

    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield started
    started.quit()


class Shown:
    """A page that is open in the browser."""

    def __init__(self, driver, page):
        self.driver, self.page = driver, page
        driver.get("about:blank")
        driver.get(page)
        self.until("return document.documentElement.dataset.ready === 'yes'")

    def run(self, script, *arguments):
        return self.driver.execute_script(HELP + script, *arguments)

    def until(self, script, *arguments):
        ends = time.monotonic() + 30
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < ends, f"never true: {script}"
            time.sleep(0.02)
        return found

    def go(self, view):
        self.run("location.hash = arguments[0]", view)
        self.until("return !document.getElementById(arguments[0]).closest('.view').hidden", view)

    def texts(self, selector):
        return self.run("return all(arguments[0]).map((node) => node.textContent.trim())", selector)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def type(self, selector, text):
        typed = "const input = document.querySelector(arguments[0]); input.value = arguments[1];"
        self.run(f"{typed} input.dispatchEvent(new Event('input'))", selector, text)


@pytest.fixture
def shown(driver, page):
    return Shown(driver, page)


VIEWS = ("overview", "paper", "official", "miniature", "custom", "classes", "curves", "pictures", "failures", "rows")


def test_every_part_draws_without_an_error_a_request_or_a_script_of_a_name(shown):
    shown.driver.get_log("performance")
    shown.driver.refresh()
    shown.until("return document.documentElement.dataset.ready === 'yes'")
    for view in VIEWS:
        shown.go(view)
        assert shown.run("return document.querySelectorAll('.view:not([hidden])').length") == 1
        assert shown.texts("[aria-current=page]")
        assert len(shown.texts(f"#{view} h2")) == 1
    shown.go("T1")
    shown.run("document.querySelector('#T1 details').open = true")
    shown.until("return document.querySelector('#T1 details svg')")
    drawn = "return document.querySelectorAll(`#${arguments[0]} figure svg[aria-label]`).length"
    for view, charts in {"official": 8, "miniature": 4, "classes": 1, "curves": 2}.items():
        assert shown.run(drawn, view) >= charts, view
    assert shown.run("return document.querySelectorAll('svg[role=img]').length") > 15
    assert shown.run("return document.querySelectorAll('svg g[aria-label]').length") == 0
    assert shown.run("return window.hit") is None
    assert shown.run("return document.querySelectorAll('img[src=x], #main b:not(figcaption b, li b), i i').length") == 0
    assert shown.texts("#trouble") == [""]
    assert [entry["message"] for entry in shown.driver.get_log("browser")] == []
    messages = [json.loads(entry["message"])["message"] for entry in shown.driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {shown.page}


def test_hostile_names_are_shown_letter_by_letter(shown):
    shown.go("rows")
    shown.type("#rows input[type=search]", "window.hit")
    shown.until("return document.querySelector('#rows [role=status]').textContent.startsWith('5 of ')")
    names = shown.texts("#rows tbody th")
    assert HOSTILE[0] in names
    assert HOSTILE[2] in names
    assert "javascript:window.hit=1//\\u2028\\u202e\\u0000" in names
    shown.go("failures")
    assert any(HOSTILE[2] in text for text in shown.texts("#failures tbody td"))


def test_a_table_of_the_paper_is_sorted_within_its_parts_and_back(shown):
    shown.go("paper")
    column = "#T1 thead th[data-s='2']"
    before = shown.texts("#T1 tbody tr > :first-child")
    heads = shown.texts("#T1 tr.block")
    shown.click(f"{column} button")
    assert shown.run("return document.querySelector(arguments[0]).getAttribute('aria-sort')", column) == "descending"
    values = shown.run("return numbers(document.querySelector('#T1 table').tBodies, 3)")
    assert [sorted(part, reverse=True) for part in values] == values
    assert sum(map(len, values)) > 10
    assert shown.texts("#T1 tr.block") == heads
    shown.click(f"{column} button")
    assert shown.run("return document.querySelector(arguments[0]).getAttribute('aria-sort')", column) == "ascending"
    filled = shown.run("return filled(document.querySelector('#T1 table').tBodies, 3)")
    assert filled == [sorted(part, reverse=True) for part in filled]  # what has no value stays last
    assert {True, False} <= {one for part in filled for one in part}
    shown.click(f"{column} button")
    assert shown.texts("#T1 tbody tr > :first-child") == before


def test_lines_are_filtered(shown):
    shown.go("paper")
    shown.type("#paper input[type=search]", "mgmae")
    shown.until("return all('#T1 tbody tr:not(.block)').length === 2")
    shown.run("choose(document.querySelector('#paper .tools select'), 'published')")
    assert shown.texts("#T1 tbody tr:not(.block) th") == ["MGMAE"]
    shown.type("#paper input[type=search]", "no such system")
    shown.until("return !document.querySelector('#T1').checkVisibility()")
    shown.go("official")
    shown.type("#official input[type=search]", "sigma_mlp")
    shown.until("return all('#official .suite tbody tr:not(.block)').length === 1")


def test_all_rows_are_sorted_filtered_and_paged(shown):
    shown.go("rows")
    assert "page 1 of 2" in shown.texts("#rows [role=status]")[0]
    shown.click("#rows thead th:nth-child(4) button")
    values = [float(text) for text in shown.texts("#rows tbody td:nth-child(4)")]
    assert values == sorted(values, reverse=True)
    assert values[0] == 110
    shown.click("#rows .pager button:nth-child(3)")
    rest = shown.texts("#rows tbody td:nth-child(4)")
    assert rest[-1] == "failed"
    shown.run("choose(all('#rows select').find((one) => one.labels[0].textContent === 'Status'), '0')")
    assert shown.texts("#rows tbody td:nth-child(8)") == ["failed", "failed"]
    assert shown.texts("#rows h3") == ["Official data"]
    shown.run("choose(document.querySelector('#rows select'), 'miniature')")
    assert shown.texts("#rows h3") == ["Miniature: synthetic data, not comparable with the paper"]
    assert shown.texts("#rows [role=status]") == ["18 lines"]


def test_a_click_on_a_value_shows_its_rows_and_the_command(shown):
    shown.go("official")
    shown.run("all('#official .suite button[data-b]').find((b) => b.dataset.b.split(' ').length === 3).click()")
    assert shown.run("return document.querySelector('dialog').matches(':modal')")
    assert shown.texts("#provenance-h")[0].startswith("sigma_mlp_k400_b800: linear/")
    facts = shown.run("return facts()")
    assert facts["checkpoint_sha256"] == "2" * 64
    assert facts["test_sha256"] == "c" * 64
    assert facts["seed"] == "0"
    assert facts["evaluator"] == "linear_released"
    assert shown.texts("dialog code")[0].split(" \\\n  ")[0] == "sigma-bench eval"
    assert "--results again/rows" in shown.texts("dialog code")[0]
    assert not shown.texts("dialog .meaning")
    shown.click("#meanings")
    assert any("Hash of the weights" in text for text in shown.texts("dialog .meaning"))
    shown.run("const pick = document.querySelector('dialog select'); choose(pick, pick.options[2].value)")
    assert shown.run("return facts().seed") == "2"
    assert "--seeds 3" in shown.texts("dialog code")[0]
    shown.click("dialog .close")
    assert not shown.run("return document.querySelector('dialog').open")
    shown.go("paper")
    shown.click("#T1 tr.published button[data-p]")
    assert "It was not measured here." in "".join(shown.texts("dialog p"))


def test_everything_is_reached_by_keyboard(shown):
    from selenium.webdriver.common.keys import Keys

    shown.run("document.activeElement.blur()")
    shown.keys(Keys.TAB)
    assert shown.run("return document.activeElement.className") == "skip"
    assert shown.run("return document.activeElement.getBoundingClientRect().left >= 0")
    shown.keys(Keys.ENTER)
    assert shown.run("return document.activeElement.id") == "main"
    shown.go("paper")
    assert shown.run("return document.activeElement.id") == "paper-h"
    shown.run("document.querySelector('#T1 thead button').focus()")
    shown.keys(Keys.ENTER)
    assert shown.run("return document.querySelector('#T1 thead th').getAttribute('aria-sort')") == "ascending"
    assert shown.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert shown.texts("#said")[0].startswith("Sorted by Method, ascending")
    shown.run("document.querySelector('#T1 tr.measured button[data-b]').focus()")
    opener = shown.run("return document.activeElement.textContent")
    shown.keys(Keys.ENTER)
    assert shown.run("return document.querySelector('dialog').matches(':modal')")
    assert shown.run("return document.activeElement.id") == "provenance-h"
    for _ in range(30):
        shown.keys(Keys.TAB)
        assert shown.run(
            "return document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )
    shown.keys(Keys.ESCAPE)
    assert not shown.run("return document.querySelector('dialog').open")
    assert shown.run("return document.activeElement.textContent") == opener


def test_colours_follow_the_system_and_the_switch_and_can_be_read(shown):
    paper = "return getComputedStyle(document.body).backgroundColor"
    colours = {}
    for scheme in ("light", "dark"):
        shown.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        colours[scheme] = shown.run(paper)
        for view in VIEWS:
            shown.go(view)
            assert shown.run(BAD_CONTRAST) == [], (scheme, view)
        shown.run("document.querySelector('#T1 button[data-b]').click()")
        assert shown.run(BAD_CONTRAST) == [], (scheme, "dialog")
        shown.run("document.querySelector('dialog').close()")
    assert colours["light"] != colours["dark"]
    shown.click("[data-theme-to=light]")
    assert shown.run(paper) == colours["light"]
    assert shown.run("return document.querySelector('[data-theme-to=light]').ariaPressed") == "true"
    shown.driver.refresh()
    shown.until("return document.documentElement.dataset.ready === 'yes'")
    assert shown.run(paper) == colours["light"]
    shown.click("[data-theme-to=auto]")
    assert shown.run(paper) == colours["dark"]


def test_a_phone_shows_every_part_without_scrolling_sideways(shown):
    shown.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        for view in VIEWS:
            shown.go(view)
            assert shown.run("return document.documentElement.scrollWidth") <= 390, view
    finally:
        shown.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_lists_can_be_scrolled_and_headings_are_in_order(shown):
    for view in VIEWS:
        shown.go(view)
        levels = shown.run("return all('h1, h2, h3, h4').map((node) => Number(node.tagName[1]))")
        assert all(below <= above + 1 for above, below in pairwise(levels)), (view, levels)
        assert shown.run(
            "return all('.wide').every((n) => n.tabIndex === 0 && (n.ariaLabel || n.getAttribute('aria-labelledby')))"
        )
        assert shown.run("return all('input, select').every((node) => node.labels.length === 1)")
        assert shown.run("return [...document.querySelectorAll('th')].every((n) => n.scope)")
