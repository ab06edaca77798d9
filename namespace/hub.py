"""``torch.hub`` and ``torch.utils.model_zoo``: files from the net, with a checksum where the name holds one. Code is never
fetched."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

from ..utils.serialization import load as _load

_folder: list[Path] = []
_HASH = re.compile(r"-([a-f0-9]{8,})\.")


def get_dir() -> str:
    """The folder for what is fetched: what `set_dir` was given, else ~/.cache/torch/hub."""
    return str(_folder[-1] if _folder else Path.home() / ".cache" / "torch" / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keep what is fetched in `d` from now on."""
    _folder[:] = [Path(d)]


def download_url_to_file(url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetch `url` (http, https or file) into the file `dst`, whole or not at all. RuntimeError where the SHA-256 of what came
    does not begin with `hash_prefix`; ValueError for another scheme; OSError where it cannot be fetched."""
    if urlparse(url).scheme not in ("http", "https", "file"):
        raise ValueError(f"{url!r} is no http, https or file address")
    target, digest = Path(dst).expanduser(), hashlib.sha256()
    with (
        urllib.request.urlopen(url, timeout=60) as source,
        tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file,
    ):
        try:
            while block := source.read(1 << 20):
                file.write(block)
                digest.update(block)
            found = digest.hexdigest()
            if hash_prefix and not found.startswith(hash_prefix):
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            file.close()
            shutil.move(file.name, target)
        finally:
            Path(file.name).unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str, model_dir: Any = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = True,
) -> Any:  # fmt: skip
    """What `load` reads of the file at `url`, fetched once into `model_dir` (``get_dir()/checkpoints``). `check_hash`: the name
    holds the first digits of its SHA-256, as in ``resnet18-f37072fd.pth``."""
    folder = Path(model_dir) if model_dir is not None else Path(get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = folder / name
    if not path.exists():
        found = _HASH.search(name) if check_hash else None
        download_url_to_file(url, path, found[1] if found else None, progress)
    return _load(path, map_location=map_location)


def load(repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """The entry point `model` of a local folder's hubconf.py (``source="local"``), called with the arguments. RuntimeError for
    other sources: code from the net is not run."""
    if source != "local":
        raise RuntimeError(f"hub.load({repo_or_dir!r}): code from the net is not run; clone it and pass source='local'")
    entry = _config(repo_or_dir).get(model)
    if not callable(entry):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return entry(*args, **kwargs)


def list(github: str, *args: Any, source: str = "local", **kwargs: Any) -> Any:
    """The entry points of a local folder's hubconf.py."""
    return [name for name, found in _config(github).items() if callable(found) and not name.startswith("_")]


def _config(folder: str) -> dict[str, Any]:
    import runpy
    import sys

    sys.path.insert(0, folder)
    try:
        return runpy.run_path(os.path.join(folder, "hubconf.py"))
    finally:
        sys.path.remove(folder)


def help(github: str, model: str, *args: Any, **kwargs: Any) -> Any:
    """The docstring of an entry point of a local folder."""
    return _config(github)[model].__doc__


def download_folder(*args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: archives of code are not fetched."""
    raise RuntimeError("archives of code are not fetched")


_download_url_to_file = download_url_to_file
load_url = load_state_dict_from_url
