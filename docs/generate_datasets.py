"""Write `docs/datasets.md`; run it after a change of the cards, the known lists or their sources."""

from pathlib import Path

from sigma_bench.runs.dataset_docs import markdown

if __name__ == "__main__":
    (Path(__file__).parent / "datasets.md").write_text(markdown(), encoding="utf-8", newline="\n")
