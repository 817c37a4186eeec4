"""What Git LFS leaves in the place of a large file until `git lfs pull` fetches it: a few lines of text."""

_BEGINS = b"version https://git-lfs.github.com/spec/"


def is_pointer(begin: bytes) -> bool:
    """By the first bytes of a file, a hundred or more."""
    return begin.startswith(_BEGINS)
