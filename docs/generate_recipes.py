"""Write `docs/recipes.md`; run it after a change of the recipes or of the published tables."""

from pathlib import Path

from sigma_bench.runs.recipe_docs import markdown

if __name__ == "__main__":
    (Path(__file__).parent / "recipes.md").write_text(markdown(), encoding="utf-8", newline="\n")
