"""Weights at Hugging Face's hub: addresses `hf://owner/name[/file][@revision]`, and the zoo's entries.

Files stay in the hub's own cache. What a zoo entry says of a file's size and SHA-256 is checked before it is loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.spec.zoo import HUB, Entry, Source

PREFIX = "hf://"
ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+?))?/?(?:@(?P<revision>[\w./-]+))?", re.ASCII)
SETTINGS = ("config.json", "preprocessor_config.json")
"""Files that tell what transformers' weights beside them compute."""
DESCRIBED = (".safetensors", ".bin")
"""Endings of weights that may have settings beside them."""


@dataclass(frozen=True)
class Fetched:
    """Weights in the hub's cache: the file or folder, and the address with the commit that it is of."""

    path: Path
    address: str


class Unfetched(UserError):
    """What an address names did not come; another source may have it."""


def is_address(name: str) -> bool:
    """Tell an address of Hugging Face's hub."""
    return name.startswith(PREFIX)


def fetch(address: str) -> Fetched:
    """Return the file or folder of an address, from the hub or its cache.

    Raises:
        UserError: The address is none, or what it names cannot be had; the message says what to place by hand.
    """
    try:
        return _from_hub(address)
    except Unfetched as error:
        found = ADDRESS.fullmatch(address)
        repo, file = (found["repo"], found["file"]) if found else ("", None)
        what = f"{file} of {HUB}/{repo}" if file else f"the files of {HUB}/{repo} in a folder"
        raise UserError(f"{error}. Or place {what} on this machine and give its path: --ckpt PATH") from error


def _from_hub(address: str) -> Fetched:
    found = ADDRESS.fullmatch(address)
    repo, file, revision = (found["repo"], found["file"], found["revision"]) if found else ("", "", None)
    if not repo or any(part in ("", ".", "..") for part in f"{repo}/{file or 'file'}".split("/")):
        raise UserError(f"--ckpt {address}: no address; expected hf://OWNER/NAME[/FILE][@REVISION]")
    path = _file(repo, file, revision) if file is not None else _folder(repo, revision)
    return Fetched(path, f"{PREFIX}{repo}{f'/{file}' if file else ''}@{_commit(path)}")


def fetch_entry(name: str, entry: Entry) -> tuple[Fetched, Source]:
    """Return the weights of a zoo entry from the first of its sources that can be had, and that source.

    Raises:
        UserError: No source can be fetched, or what came is not what the zoo describes.
    """
    if entry.wanted is not None:
        raise UserError(f"zoo entry {name} ({entry.system}): {entry.wanted}; there is nothing to evaluate")
    failures = []
    for source in entry.sources:
        if source.host != "huggingface":
            continue
        try:
            found = _from_hub(f"{PREFIX}{source.repo}/{source.path}")
        except Unfetched as error:
            failures.append(str(error))
            continue
        _check(name, source, found)
        return found, source
    why = "; ".join(failures) or "its weights are not published where they can be fetched from"
    raise UserError(f"zoo entry {name}: {why}. {by_hand(name, entry)}")


def by_hand(name: str, entry: Entry) -> str:
    """Return what to do where an entry cannot be fetched: the pages, the file to place, the command."""
    source = next((source for source in entry.sources if source.host == "huggingface"), entry.sources[0])
    file = PurePosixPath(source.path).name if source.host == "huggingface" else f"{name}.pth"
    path = f"checkpoints/{name}/{file}" if file.endswith(DESCRIBED) else f"checkpoints/{file}"
    beside = f" (with {SETTINGS[0]} beside it)" if file.endswith(DESCRIBED) else ""
    pages = " or ".join(source.url for source in entry.sources)
    family = source.family or entry.family
    return f"Published at {pages}: place {file}{beside} at {path} and give --ckpt {path} --as {name} --family {family}"


def _file(repo: str, file: str, revision: str | None) -> Path:
    import huggingface_hub

    def download() -> str:
        if not isinstance(huggingface_hub.try_to_load_from_cache(repo, file, revision=revision), str):
            say(f"fetching {file} of {HUB}/{repo}")
        return huggingface_hub.hf_hub_download(repo, file, revision=revision)

    path = _had(repo, file, revision, download)
    if file.endswith(DESCRIBED):
        for name in SETTINGS:
            _beside(repo, str(PurePosixPath(file).with_name(name)), _commit(path))
    return path


def _beside(repo: str, file: str, commit: str) -> None:
    """Fetch a file of the same commit where there is one; the adapter that needs it misses it where there is none."""
    import huggingface_hub
    from huggingface_hub import _CACHED_NO_EXIST
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def download() -> str:
        known = huggingface_hub.try_to_load_from_cache(repo, file, revision=commit)
        if known is _CACHED_NO_EXIST:
            return ""
        try:
            return huggingface_hub.hf_hub_download(repo, file, revision=commit)
        except RemoteEntryNotFoundError:
            return ""

    _had(repo, file, commit, download)


def _folder(repo: str, revision: str | None) -> Path:
    import huggingface_hub

    say(f"fetching {HUB}/{repo}, or taking it from the cache")

    def snapshot(weights: str) -> Path:
        wanted = ["*.json", weights]
        return _had(
            repo,
            None,
            revision,
            lambda: huggingface_hub.snapshot_download(
                repo, revision=revision, allow_patterns=wanted, ignore_patterns="*/*"
            ),
        )

    folder = snapshot("*.safetensors")
    return folder if any(folder.glob("*.safetensors")) else snapshot("pytorch_model*.bin")


def _had(repo: str, file: str | None, revision: str | None, download: Callable[[], str]) -> Path:
    """Return what a download gives; each way in which it can fail is said in words.

    Raises:
        Unfetched: It failed.
    """
    from huggingface_hub import errors

    _quiet_unless_watched()
    what = f"{PREFIX}{repo}{f'/{file}' if file else ''}{f'@{revision}' if revision else ''}"
    try:
        return Path(download())
    except errors.GatedRepoError as error:
        why = f"access is granted on request: accept the terms at {HUB}/{repo} and log in (hf auth login)"
        raise Unfetched(f"{what}: {why}") from error
    except errors.RepositoryNotFoundError as error:
        raise Unfetched(f"{what}: the hub has no public repository {repo}") from error
    except errors.RevisionNotFoundError as error:
        raise Unfetched(f"{what}: {repo} has no revision {revision}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise Unfetched(f"{what}: not in the cache, and the hub cannot be reached from here") from error
    except errors.EntryNotFoundError as error:
        raise Unfetched(f"{what}: {repo} has no such file; {HUB}/{repo}/tree/main lists them") from error
    except Exception as error:  # the client passes on whatever its HTTP library and the disk raise
        raise Unfetched(f"{what}: could not be fetched ({type(error).__name__}: {_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:200]


def _quiet_unless_watched() -> None:
    """Show the hub's progress bars on a terminal only."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


def _commit(path: Path) -> str:
    """Return the commit that a path in the hub's cache is of."""
    parts = path.parts
    if "snapshots" not in parts[:-1]:
        raise UserError(f"{path}: not of the form of the hub's cache (.../snapshots/COMMIT/...), so of no known commit")
    return parts[len(parts) - 1 - parts[::-1].index("snapshots") + 1]


def _check(name: str, source: Source, found: Fetched) -> None:
    """Refuse a file that is not the one the zoo describes.

    Raises:
        UserError: Its size or SHA-256 is another.
    """
    size = found.path.stat().st_size
    if source.bytes not in (None, size):
        wrong = f"{size:,} bytes, expected {source.bytes:,}"
    elif source.sha256 not in (None, digest := _sha256(found.path)):
        wrong = f"SHA-256 {digest}, expected {source.sha256}"
    else:
        return
    raise UserError(
        f"zoo entry {name}: {found.address} has {wrong}, so it is not loaded. Remove {found.path.resolve()} and try "
        f"again; if the publisher replaced the file, look at it first (sigma-bench ckpt inspect {found.path})"
    )


def _sha256(path: Path) -> str:
    from sigma_bench.models.checkpoints import digest

    now = digest.stamp(path)
    found = digest.known(path, now) or digest.compute(path)
    digest.keep(path, now, found)
    return found
