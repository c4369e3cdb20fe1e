"""Real sequences in the layout of DAVIS; their frames and masks may not be redistributed."""

from pathlib import Path

import av
from PIL import Image

from sigma_bench.data.datasets.davis import FRAMES
from tests.evaluators.segmentation.made import MASKS, write_list

FOLDERS = {"car-shadow": "car-shadow", "bmx-trees": "bmx-trees_480p", "road": "road"}


def lay_out(shared: Path, root: Path, names) -> None:
    """Link or extract sequences of `shared` to `root/davis` and list them as its validation part."""
    sequences, base = shared / "real" / "sequences", root / "davis"
    for kind in (FRAMES, MASKS):
        (base / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        source = sequences / FOLDERS.get(name, name)
        (base / MASKS / name).symlink_to(source / "Annotations")
        if name != "schoolgirls":
            (base / FRAMES / name).symlink_to(source / "JPEGImages")
            continue
        (base / FRAMES / name).mkdir()
        with av.open(str(source / "schoolgirls.mp4")) as video:
            for number, frame in enumerate(video.decode(video=0)):
                picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                picture.save(base / FRAMES / name / f"{number:05d}.jpg", quality=95)
    write_list(base, names)
