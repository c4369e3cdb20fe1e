"""The documentation names every logged number as the table does."""

from pathlib import Path

from sigma_bench.pretrain import collapse
from sigma_bench.train.quantities import QUANTITIES

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


def test_the_documentation_has_the_table_of_quantities():
    text = PAGE.read_text(encoding="utf-8")
    for name, known in QUANTITIES.items():
        assert f"| `{name}` | {known.unit or '–'} | {known.meaning} |" in text


def test_the_documentation_states_the_thresholds_of_the_warnings():
    text = PAGE.read_text(encoding="utf-8")
    assert f"at least {collapse.RECORDS} records in a row and {collapse.STEPS} steps" in text
    assert f"`target_std` below {collapse.SPREAD_BELOW}" in text
    assert f"within {collapse.UNIFORM_WITHIN:.0%}".replace("%", " %") in text
    assert collapse.USED_BELOW == 0.25
    assert "below a quarter of K" in text
