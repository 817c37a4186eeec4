"""All files of a folder, to tell whether anything was changed or written again."""

from pathlib import Path


def contents(folder: Path) -> dict[Path, bytes]:
    """The bytes of each file, without locks."""
    return {path.relative_to(folder): path.read_bytes() for path in _files(folder) if path.name != ".lock"}


def contents_and_times(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """The bytes of each file and the time of its last change, in nanoseconds."""
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns) for path in _files(folder)}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
