"""Where the official lists are published that this package may not ship, and how each is told from another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sigma_bench.data.datasets import list_file, ucf101, ucfrep

FINEGYM = ("SDOlivia/FineGym", "0331d05e8ecb9b10a94498c11a7dcc1c9dcf95f5")
FINEGYM_CATEGORIES = ("SDOlivia/FineGym", "5d7bb3a308e820da542774fce417849b0062a562")
SEVERE = ("fmthoker/SEVERE-BENCHMARK", "2f99365c446d2721261dc56d91c4fb469f042cbb")
SEVERE_K400 = "ssl_benchmark/data/kinetics-400/labels/val_videofolder.txt"
SEVERE_K400_COMMIT = "ae4f437a03e0eb17f806f6c050f1f5dfe51ef217"
SEVERE_K400_SHA256 = "2cf1041e9c1f29ed1ca8075a628d9d4d9b36adbc3ca0fa3c35b7bff3f6ecdc79"
COUNTING = ("Xiaodomgdomg/Deep-Temporal-Repetition-Counting", "f7011d3ef29061b9c63cb7c12d5feeb2a93f7d35")
TIMET = ("SMSD75/TimeT_clean", "a076d0b472978115903de0a0670e8a514b60fea6")
SITE = "https://sdolivia.github.io/FineGym/"


@dataclass(frozen=True)
class Source:
    """One file that is published somewhere.

    Attributes:
        dataset: Whose folder it belongs in.
        what: What it is.
        place: Its path in that folder.
        url: Where it is fetched from.
        repository: Owner and name, of a file in a repository.
        commit: The full hash.
        path: Its path in the repository.
        sha256: Of the published file; None where no copy of it was at hand to measure.
        unpacked: Folder that the archive holds, which is put into the data set's folder instead of the archive.
        unpacked_sha256: Hash of that folder, see `sigma_bench.runs.lists`.
        below: Folders below the data set's own in which its reader looks for `place`; the first is where it is put.
    """

    dataset: str
    what: str
    place: str
    url: str
    repository: str = ""
    commit: str = ""
    path: str = ""
    sha256: str | None = None
    unpacked: str = ""
    unpacked_sha256: str | None = None
    below: tuple[str, ...] = list_file.PLACES


@dataclass(frozen=True)
class Page:
    """A page from which a data set's own lists come, with the videos or by a form: nothing is fetched from it."""

    dataset: str
    what: str
    url: str


def _file(dataset: str, what: str, at: tuple[str, str], path: str, sha256: str | None, place: str = "") -> Source:
    repository, commit = at
    url = f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
    return Source(dataset, what, place or path.rpartition("/")[2], url, repository, commit, path, sha256)


def _gym(what: str, name: str, sha256: str | None, at: tuple[str, str] = FINEGYM) -> Source:
    return _file("finegym", what, at, f"resources/dataset/{name}", sha256)


def _ucf101(name: str, sha256: str) -> Source:
    path = f"action_recognition/data/ucf101/ucfTrainTestlist/{name}"
    source = _file("ucf101", "official list, a copy", SEVERE, path, sha256, f"{ucf101.LISTS}/{name}")
    return replace(source, below=ucf101.ROOTS)


SOURCES: tuple[Source, ...] = (
    _gym(
        "Gym99 train, v1.0",
        "gym99_train_element_v1.0.txt",
        "4ece94c4c9b0d040ac0535c5763da476659640917dbc8cf77f6bf7a57cd4285b",
    ),
    _gym("Gym99 val", "gym99_val_element.txt", "9aa3ef86ecdfe223f4cbdd6faccecbe251b4011f78821270743eed8fbf594d0f"),
    _gym(
        "Gym288 train, v1.0",
        "gym288_train_element_v1.0.txt",
        "93f6f5696d6cdd390b89546d52cba7f8eb38314026bd8686ec8e0e72dd68ddbd",
    ),
    _gym("Gym288 val", "gym288_val_element.txt", "06d53cedb6edfd361ae82ab6efc3c6e5b8ca6e27ebeb61640b97fda3ef9731ce"),
    _gym("Gym99 class names", "gym99_categories.txt", None, FINEGYM_CATEGORIES),
    _gym("Gym288 class names", "gym288_categories.txt", None, FINEGYM_CATEGORIES),
    Source(
        "finegym",
        "times of events and elements, to cut from untrimmed videos",
        "finegym_annotation_info_v1.0.json",
        f"{SITE}resources/dataset/finegym_annotation_info_v1.0.json",
    ),
    Source(
        "ucfrep",
        "boundaries of the repetitions, 526 .mat and 23 .txt files",
        "ucf526_annotations.zip",
        f"https://raw.githubusercontent.com/{COUNTING[0]}/{COUNTING[1]}/data/ori_data/ucf526/ucf526_annotations.zip",
        *COUNTING,
        "data/ori_data/ucf526/ucf526_annotations.zip",
        "08b2b8a88c2728e9aa6de6c62dc6b02f1941dfa2c3adb28dab5852c12695ae3c",
        "annotations",
        "b1c11ded96a9764aea613affd5d92784031605ef8e913e4d240ec828e496fbb5",
        ucfrep.ROOTS,
    ),
    _file(
        "ytvos",
        "695 of the 3,471 training videos, drawn by an author of the paper (split train20)",
        TIMET,
        "val.txt",
        "5b1ebb10e2a5d66b2f1040957248a2fc2f291159d08e5cea1e36823fede07e26",
    ),
    _ucf101("classInd.txt", "d7abbb76074d04e80c62ad8a61529bb8eec32ef978569601b2890edec3af0359"),
    _ucf101("trainlist01.txt", "f7a4d7abc05147b921c17fc227d731197c3583f29945d1f1d46bce830d1b9f12"),
    _ucf101("trainlist02.txt", "3ea7145317098bdb4a999f69fb3b53ca3d3831d692602fc5dc8cd5c5e3eb8ca9"),
    _ucf101("trainlist03.txt", "c75af0148b3b0e70d5d881ad71b0a5fbb685bf2d3278908278658435c3f1bf0f"),
    _ucf101("testlist01.txt", "81be4765084d72739dca4d11658f7ec369c441ad9e227f11d9468fe2a1c14890"),
    _ucf101("testlist02.txt", "c9eec18f3f312153cda441f93e30bc9cffef1941367ebc06996e40c9cd056c91"),
    _ucf101("testlist03.txt", "f9cc029b0598c63f5cc07d070ae1fa4666d1d3901cc79a93490ea0742ca097db"),
)
"""The Gym lists of v1.0, which the published counts are of, are those that SEVERE calls `gym*_org.txt` (there without
the final line end)."""

PAGES: tuple[Page, ...] = (
    Page("finegym", "videos by YouTube id, lists, categories", SITE),
    Page(
        "ucf101", "UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip", "https://www.crcv.ucf.edu/data/UCF101.php"
    ),
    Page(
        "hmdb51",
        "hmdb51_org.rar and test_train_splits.rar",
        "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
    ),
    Page("k400", "official csv files and archives of videos", "https://github.com/cvdfoundation/kinetics-dataset"),
    Page(
        "k400",
        "SEVERE's validation list, 19,328 videos of another copy, read as val_videofolder.txt where there is no "
        f"official csv; SHA-256 {SEVERE_K400_SHA256}",
        f"https://raw.githubusercontent.com/{SEVERE[0]}/{SEVERE_K400_COMMIT}/{SEVERE_K400}",
    ),
    Page(
        "ssv2",
        "labels, train, validation and test JSON, videos; after registration",
        "https://www.qualcomm.com/developer/software/something-something-v-2-dataset",
    ),
    Page("charades", "Charades.zip (csv, classes) and videos or frames", "https://prior.allenai.org/projects/charades"),
    Page("davis", "DAVIS-2017 trainval 480p, with ImageSets", "https://davischallenge.org/davis2017/code.html"),
    Page("ytvos", "train.zip with meta.json; after registration", "https://youtube-vos.org/dataset/vos/"),
    Page("cifar100", "cifar-100-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    Page("in1k", "ILSVRC2012 train and val archives; after registration", "https://image-net.org/download.php"),
)


def of(dataset: str) -> tuple[tuple[Source, ...], tuple[Page, ...]]:
    """Return what is published of a data set."""
    return tuple(s for s in SOURCES if s.dataset == dataset), tuple(p for p in PAGES if p.dataset == dataset)
