"""Write `docs/zoo.md`; run it after a change of `eval/zoo.yaml` or of the published tables."""

from pathlib import Path

from sigma_bench.runs.zoo import markdown

if __name__ == "__main__":
    (Path(__file__).parent / "zoo.md").write_text(markdown(), encoding="utf-8", newline="\n")
