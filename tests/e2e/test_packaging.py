"""The wheel and the sdist carry every file that a command reads, and find them wherever they are installed."""

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
SHIPPED = {
    "pretrain": "pretrain",
    "eval": "eval",
    "tasks": "tasks",
    "results/published": "published",
    "tests/golden": "golden",
}
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
from sigma_bench.runs import report, verify
assert verify.default_folder().is_relative_to(sys.argv[1]), verify.default_folder()
assert verify.run(verify.default_folder(), only=["sinkhorn_single"])
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


def sources(folder: str) -> set[str]:
    """Files of the checkout under `folder`, caches left out."""
    found = (path for path in (CHECKOUT / folder).rglob("*") if path.is_file())
    return {path.relative_to(CHECKOUT / folder).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_the_specs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {f"sigma_bench/{name}" for name in sources("sigma_bench")}
    assert {".py", ".js", ".css", ".j2", ".txt"} <= {Path(name).suffix for name in inside}
    assert not inside - names
    for folder, inside in SHIPPED.items():
        assert sources(folder), folder
        assert not {f"sigma_bench/_shipped/{inside}/{name}" for name in sources(folder)} - names


def test_the_wheel_installs_one_top_level_package_and_no_tests(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sigma_bench"}


def test_the_sdist_holds_what_a_wheel_is_built_from(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "mkdocs.yml", "constraints.txt"} <= names
    for folder in (*SHIPPED, "tests", "sigma_bench", "docs", "benchmarks"):
        missing = {f"{folder}/{name}" for name in sources(folder)} - names
        assert not missing
    assert not [name for name in names if name.startswith((".git/", ".venv", "results/rows"))]


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(*pip, "--target", folder, wheel, cwd=folder)
    return folder


def test_what_commands_read_is_found_by_an_installed_wheel_from_another_folder(site: Path, tmp_path: Path) -> None:
    run(sys.executable, "-c", CHECK, site, cwd=tmp_path, PYTHONPATH=str(site))


@pytest.mark.slow
def test_the_demonstration_runs_from_a_wheel_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    said = run(sys.executable, "-m", "sigma_bench.cli", "demo", "--scale", "0.01", cwd=tmp_path, PYTHONPATH=str(site))
    assert "Miniature (synthetic data; not comparable with the paper)" in said
    for name in ("random:nano", "videomae", "sigma\\_mlp", "sigma\\_l2"):
        assert f"| {name}" in said, said
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert (tmp_path / "runs/demo/tables/T1.md").is_file()
