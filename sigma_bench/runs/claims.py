"""Write which claims of the paper hold: a few lines over `sigma_bench.results.claims`."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.results import claims_text, published
from sigma_bench.results.claims import judge
from sigma_bench.results.store import Store
from sigma_bench.spec import load, roots


def claims(rows: Path, out: Path, formats: list[str]) -> list[str]:
    """Write `claims.<format>` to `out` and return lines for a person: the Markdown text, and each file.

    Raises:
        UserError: A format is unknown, `rows` is a file, or published data cannot be read.
    """
    if rows.exists() and not rows.is_dir():
        raise UserError(f"{rows} is a file; expected the folder that holds the row files (<suite>.csv)")
    if rows.resolve() == out.resolve():
        raise UserError(f"{out} holds the row files; claims in CSV beside them would pass for rows: name another")
    store = Store(rows)
    values = published.read(roots.find("published", "published.csv").parent)
    judged = judge(load.claims(), store.read(), values, load.layout(), load.zoo().entries)
    texts = {one: claims_text.render(judged, one) for one in dict.fromkeys(formats)}
    out.mkdir(parents=True, exist_ok=True)
    for one, text in texts.items():
        (out / f"{claims_text.NAME}.{one}").write_text(text, encoding="utf-8", newline="\n")
    lines = [text for one, text in texts.items() if one == "md"]
    lines += [f"note: {problem}" for problem in store.problems]
    return lines + [f"written: {out / claims_text.NAME}.{one}" for one in texts]
