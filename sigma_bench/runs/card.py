"""The model card of an exported encoder: what it is, how to use it, what was measured with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from sigma_bench import __version__
from sigma_bench.contracts import EncoderSpec
from sigma_bench.results.row import Row
from sigma_bench.results.store import latest
from sigma_bench.runs.systems import Candidate

NAMED = {
    "method": "Method",
    "variant": "Variant",
    "pretrain_data": "Pretraining data",
    "epochs": "Epochs",
    "extra_data": "Further data in the weights",
    "motion_guidance": "Masks guided by motion",
}
USE = """\
```python
from transformers import VideoMAEImageProcessor, VideoMAEModel

processor = VideoMAEImageProcessor.from_pretrained(FOLDER)
model = VideoMAEModel.from_pretrained(FOLDER).eval()
inputs = processor(list_of_{frames}_frames, return_tensors="pt")
tokens = model(**inputs).last_hidden_state  # (1, {tokens}, {dim}), in the order time, height, width
```
"""


def card(spec: EncoderSpec, found: Candidate, licence: str, rows: Iterable[Row]) -> str:
    """Return the text of `README.md` for a folder on the Hugging Face hub.

    Args:
        spec: The encoder.
        found: Where it came from.
        licence: Licence of the weights as the hub spells it; whoever publishes them has to know it.
        rows: Measured rows of these weights.
    """
    system = str(found.description.get("system", ""))
    tokens = (spec.frames // spec.tubelet) * (spec.image_size // spec.patch) ** 2
    facts = {"Backbone": spec.backbone} | {
        title: str(found.description[name]) for name, title in NAMED.items() if found.description.get(name)
    }
    facts |= {
        "Input": f"{spec.frames} frames of {spec.image_size} x {spec.image_size} pixels",
        "Tokens": f"{tokens}, each {spec.tubelet} frames of {spec.patch} x {spec.patch} pixels, {spec.embed_dim} wide",
        "Blocks and heads": f"{spec.depth} blocks, {spec.heads} heads",
        "Parameters": f"{spec.params / 1e6:.1f} M",
        "Last norm": "applied in last_hidden_state" if spec.has_norm else "none; pool first, then normalise",
        "SHA-256 of the source": found.sha256,
    }
    parts = [
        _front_matter(licence),
        f"# {_cell(system)}\n",
        "A video encoder, exported for `VideoMAEModel` of transformers. It has no decoder and no classifier.\n",
        _table(("", ""), list(facts.items())),
        f"## Use\n\n{USE.format(frames=spec.frames, tokens=tokens, dim=spec.embed_dim)}",
    ]
    lines = [_measured(row) for row in rows]
    if lines:
        parts.append("## Measured\n\n" + _table(("Task", "Metric", "Value", "Protocol", "Seed", "Samples"), lines))
    parts.append(f"Written by sigma-bench {__version__}.\n")
    return "\n".join(parts)


def _front_matter(licence: str) -> str:
    lines = {"library_name": "transformers", "license": licence, "pipeline_tag": "feature-extraction"}
    entries = [f"{name}: {json.dumps(value)}" for name, value in lines.items()]
    return "\n".join(["---", *entries, "tags:", "- video", "- videomae", "- sigma-bench", "---\n"])


def measured(rows: Iterable[Row], sha256: str) -> list[Row]:
    """Return the newest values on official data of the weights with a digest."""
    return [row for row in latest(rows) if _shown(row, sha256)]


def _shown(row: Row, sha256: str) -> bool:
    return row.checkpoint_sha256 == sha256 and row.data == "official" and row.value is not None


def _measured(row: Row) -> tuple[str, ...]:
    protocol = f"{row.evaluator}{f', {row.profile}' if row.profile else ''}"
    marks = f" ({'; '.join(row.marks)})" if row.marks else ""
    samples = f"{row.n_decoded} of {row.n_expected}"
    return (row.task, row.metric, f"{row.value:.2f}{marks}", protocol, str(row.seed), samples)


def _table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rows = [head, tuple("---" for _ in head), *lines]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([\\|<>\[\]`*_])", r"\\\1", " ".join(text.split()))
