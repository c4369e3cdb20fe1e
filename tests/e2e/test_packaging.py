"""The wheel and the sdist carry the specs and the published values, and find them wherever they are installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build", reason="the package `build` (extra dev) makes the wheel")
pytest.importorskip("hatchling", reason="the package `hatchling` (extra dev) makes the wheel")

CHECKOUT = Path(__file__).parents[2]
SHIPPED = {"pretrain": "pretrain", "eval": "eval", "tasks": "tasks", "results/published": "published"}
CHECK = """
import sys
from pathlib import Path
import sigma_bench
from sigma_bench.spec import load, roots
assert Path(sigma_bench.__file__).is_relative_to(sys.argv[1]), sigma_bench.__file__
for kind in roots.WORDS:
    assert roots.names(kind), kind
    assert all(path.is_relative_to(sys.argv[1]) for path in roots.names(kind).values()), kind
assert load.recipe("sigma_mlp", data="miniature", size="nano").train.steps == 400
assert load.task("controls/motion", data="miniature").dataset.relabel == "motion"
assert load.suite("quick").tasks and load.zoo().entries and load.layout()
assert roots.find("published", "published.csv").stat().st_size > 10_000
assert load.validate_all()[0] == [], load.validate_all()
from sigma_bench.runs import report
page, _, _ = report.page(report.Request(rows=Path("none"), figures=Path("none"), home=Path("none")))
assert page.count("</script>") == 6, page.count("</script>")
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SIGMA_BENCH_SPECS")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the checkout, and the wheel that was built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, CHECKOUT, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def sources(folder: str, suffix: str = "") -> set[str]:
    """Files of the checkout under `folder`, caches left out."""
    found = (path for path in (CHECKOUT / folder).rglob(f"*{suffix}") if path.is_file())
    return {path.relative_to(CHECKOUT / folder).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_the_specs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"sigma_bench/{name}" for name in sources("sigma_bench", ".py")} <= names
    for folder, inside in SHIPPED.items():
        assert sources(folder), folder
        assert {f"sigma_bench/_shipped/{inside}/{name}" for name in sources(folder)} <= names


def test_the_wheel_installs_one_top_level_package_and_no_tests(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sigma_bench"}


def test_the_sdist_holds_what_a_wheel_is_built_from(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
    for folder in (*SHIPPED, "tests", "sigma_bench"):
        missing = {f"{folder}/{name}" for name in sources(folder)} - names
        assert not missing
    assert not [name for name in names if name.startswith((".git/", ".venv", "results/rows"))]


def test_specs_are_found_by_an_installed_wheel_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(*pip, "--target", site, wheel, cwd=elsewhere)
    run(sys.executable, "-c", CHECK, site, cwd=elsewhere, PYTHONPATH=str(site))
