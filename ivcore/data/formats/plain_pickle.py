"""Reads pickles of plain values without executing anything: dictionaries, lists, tuples, text and numbers, but no instances of classes."""

import pickle

from ivcore import git_lfs
from ivcore.errors import FormatError


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which could run a program")


def read_plain_pickle(path):
    """The value in the file. Text of Python 2 is read as UTF-8. FormatError if it is not a pickle, or has other than plain values."""
    try:
        with open(path, "rb") as file:
            if git_lfs.is_pointer(file.read(4096)):
                raise FormatError(path, 1, "a Git LFS pointer, not the file itself: git lfs pull")
            file.seek(0)
            return _Plain(file, encoding="utf-8").load()
    except OSError as error:
        raise FormatError(path, None, f"cannot be read: {error.strerror or error}") from None
    except FormatError:
        raise
    except (Exception, MemoryError) as error:  # a damaged pickle can raise anything
        raise FormatError(path, None, f"expected a pickle of plain values: {error or type(error).__name__}") from None
