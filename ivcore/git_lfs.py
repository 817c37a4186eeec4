"""Git LFS pointers: a few lines of text in place of a large file, until `git lfs pull` fetches it."""

_BEGINS = b"version https://git-lfs.github.com/spec/"


def is_pointer(begin: bytes) -> bool:
    """True if a file that begins with these bytes (a hundred or more) is a pointer."""
    return begin.startswith(_BEGINS)
