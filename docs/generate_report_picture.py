"""Take the picture of a report that the documentation shows: docs/images/report.png.

    sigma-bench demo --scale 0.1
    sigma-bench report --results runs/demo/rows --runs runs/demo/runs --out DIR/report.html
    python docs/generate_report_picture.py DIR/report.html [--view miniature] [--size 1280x1360] [--out FILE.png]

Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE_MS = 8000
"""Of the page's own clock, which runs ahead while nothing is to be done."""


def main() -> None:
    """Take the picture."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("page", type=Path)
    options.add_argument("--view", default="miniature", help="Part of the page, as in its address after #")
    options.add_argument("--size", default="1280x1360")
    options.add_argument("--out", type=Path, default=HERE / "images" / "report.png")
    asked = options.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("chromium is not installed (Debian: apt-get install chromium)")
    if not asked.page.is_file():
        sys.exit(f"{asked.page}: no such page; sigma-bench report writes one")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", f"--window-size={asked.size.replace('x', ',')}"),
            *(f"--virtual-time-budget={PATIENCE_MS}", f"--screenshot={asked.out.resolve()}"),
            f"{asked.page.resolve().as_uri()}#{asked.view}",
        ]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    sys.stdout.write(f"written: {asked.out}\n")


if __name__ == "__main__":
    main()
