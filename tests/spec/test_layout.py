"""The layout of the tables is checked strictly."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from sigma_bench.spec import load
from sigma_bench.spec.layout import Layout

FILE = Path(__file__).parents[2] / "results" / "published" / "layout.yaml"


def test_the_layout_of_the_repository_is_read():
    layout = load.layout()
    assert len(layout.tables) == 17
    assert layout.tables["T5"].columns[6].direction == "lower"
    assert layout.tables["T9"].missing
    assert layout.labels["SIGMA-DINO"]["card"] == "SIGMA"


def _changed(table: str, **changes: object) -> dict:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for name, value in changes.items():
        content["tables"][table][name] = value
    return content


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"groups": [{"label": "a", "rows": [1, 4]}, {"label": "b", "rows": [6, 6]}]},
        {"groups": [{"label": "a", "rows": [4, 1]}]},
        {"groups": [{"label": "a", "rows": ["1", "6"]}]},
        {"column_groups": [{"heading": "a", "span": 5}]},
        {"bold_scope": "row"},
        {"attributes": ["method", "price"]},
        {"attributes": []},
        {"underline_second": "yes"},
        {"columns": [{"key": "a", "metric": "m", "heading": "h", "decimals": 1, "bold": True}]},
        {"settings": True},
    ],
)
def test_a_faulty_table_is_refused(changes):
    Layout.model_validate(_changed("T1"))
    with pytest.raises(ValidationError):
        Layout.model_validate(_changed("T1", **changes))
