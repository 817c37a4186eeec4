"""Turns a user's text into a path: a local file or folder, a model of the box, or a name on the Hugging Face hub, fetched once and cached."""

from __future__ import annotations

import re
from pathlib import Path

from ivcore.weights import box
from ivcore.weights.accounting import WeightsError

WANTED = ["*.json", "*.safetensors", "*.bin", "*.pth", "*.pyth", "*.ckpt", "*.pt"]


def locate(source: str) -> Path:
    """An existing path; for a run folder its final weights. WeightsError if there is none.

    `ivcore/name` is in the box (see `weights.box`); any other `owner/name` (a whole repository) or `owner/name/file` (one file) is on the hub.
    """
    path = Path(source).expanduser()
    if path.exists():
        of_a_run = path / "checkpoints" / "model.safetensors"
        return of_a_run if of_a_run.exists() else path
    if box.is_name(source):
        return box.place(source)
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+))?", source)
    if source.startswith(("/", ".", "~")) or match is None:
        raise WeightsError(f"{source}: no such file or folder")
    return _fetch(match[1], match[2], source)


def _fetch(repository: str, file: str | None, source: str) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    try:
        if file is not None:
            return Path(hf_hub_download(repository, file))
        return Path(snapshot_download(repository, allow_patterns=WANTED))
    except Exception as error:  # the hub's client raises many kinds; the user needs one sentence
        raise WeightsError(
            f"{source}: neither a file here nor fetched from huggingface.co ({type(error).__name__}); "
            "offline, download it elsewhere and give the path"
        ) from None
