"""Expands the names of tar shards (patterns, folders, lists, addresses) to single files.

Names of data may come from somebody else's preset, so they must not run anything: a command needs a variable in the user's environment.
"""

import math
import os
import re
from collections.abc import Iterator
from glob import escape, glob
from pathlib import Path
from urllib.parse import unquote

from ivcore import paths
from ivcore.errors import UserError

LARGEST = 1_000_000  # shards that a pattern may name
ALLOW = "IVCORE_ALLOW_PIPE"
REMOTE = ("http", "https", "sftp", "ftps", "scp", "gs", "htgs", "hf", "ais")  # passed as one argument to a program
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?")
_LETTERS = re.compile(r"[a-zA-Z]\.\.[a-zA-Z](?:\.\.-?\d+)?")


def expand(urls) -> list[str]:
    """The shards that one or several patterns name: braces ("{000..127}.tar"), "::" between patterns, local wildcards, a folder of .tar files.

    Relative names start from the project root. Addresses (http:, hf:, gs: …) are kept. `pipe:COMMAND` runs a shell command and is refused
    unless IVCORE_ALLOW_PIPE=1 is in the environment. Raises UserError for that, for other kinds of addresses, for braces that name more than
    a million shards, and if nothing is named or all shards are local and none exists.
    """
    from webdataset.shardlists import envsubst, expand_urls

    patterns = [urls] if isinstance(urls, str | Path) else list(urls)
    try:
        for pattern in map(str, patterns):
            _refuse_too_many(envsubst(pattern))
        named = [url for pattern in patterns for url in expand_urls(str(pattern))]
    except (AssertionError, ValueError, RecursionError) as error:
        raise UserError(f"shards {_shown(urls)}: {error}") from None
    shards = [shard for name in named for shard in _files(name)]
    here = [shard for shard in shards if not scheme(shard)]
    if not shards or (len(here) == len(shards) and not any(os.path.isfile(shard) for shard in here)):
        raise UserError(f"shards {_shown(urls)}: no such file" + (f", e.g. {_shown(here[0])}" if here else ""))
    return shards


def scheme(name: str) -> str:
    """The scheme of an address in lower case, "" for a file. Ignores line breaks and TABs, as URL parsers do."""
    match = _SCHEME.match(re.sub(r"[\t\r\n]", "", name).lstrip())
    return match[1].lower() if match else ""


def open_shard(name: str):
    """A stream of the shard's bytes, with `read` and `close`. Raises UserError as `check`, and the opener's errors."""
    from webdataset import gopen

    check(name)
    return gopen(name, "rb") if scheme(name) else open(name, "rb")


def check(name: str) -> None:
    """UserError for an address that must not be opened."""
    kind = scheme(name)
    if kind == "pipe" and os.environ.get(ALLOW) != "1":
        raise UserError(
            f"shards {_shown(name)}: pipe: runs a command of the shell and is refused; where you trust it, set {ALLOW}=1 in your environment"
        )
    if kind not in ("", "pipe", *REMOTE):
        raise UserError(
            f"shards {_shown(name)}: {kind}: is no address that can be read; known are {', '.join(REMOTE)}, file and pipe"
        )


def _files(name: str) -> list[str]:
    """The shards of a name without braces."""
    if scheme(name) == "file":
        name = unquote(re.sub(r"^\s*file:(//)?", "", name, flags=re.IGNORECASE))
    elif scheme(name) and not os.path.exists(name):  # a local name may hold a colon
        check(name)
        return [name]
    name = str(paths.resolve(name))
    if os.path.isdir(name):
        return sorted(glob(f"{escape(name)}/*.tar"))
    return sorted(glob(name)) if re.search(r"[*?\[]", name) and not os.path.isfile(name) else [name]


def _shown(urls) -> str:
    text = str(urls)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _refuse_too_many(pattern: str) -> None:
    """ValueError for a pattern with so many names that they would fill the memory."""
    number = sum(map(_combinations, pattern.split("::")))
    if number > LARGEST or number * len(pattern) > 2**30:
        raise ValueError(f"the braces name {number:,} shards, more than {LARGEST:,} or too long ones")


def _combinations(pattern: str) -> int:
    """The number of names of a pattern: the product over its braces, each the sum of its alternatives."""
    return math.prod(_alternatives(group) for group in _groups(pattern))


def _groups(pattern: str) -> Iterator[str]:
    """The contents of the outermost braces. Expansion checks later that they are balanced."""
    depth = start = 0
    for place, letter in _unescaped(pattern):
        depth += (letter == "{") - (letter == "}")
        if letter == "{" and depth == 1:
            start = place + 1
        elif letter == "}" and depth == 0:
            yield pattern[start:place]


def _alternatives(group: str) -> int:
    if match := _NUMBERS.fullmatch(group):
        first, last, step = (int(number or 1) for number in match.groups())
        return abs(last - first) // (step or 1) + 1
    if _LETTERS.fullmatch(group):
        return 52
    depth, cuts = 0, [-1]
    for place, letter in _unescaped(group):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            cuts.append(place)
    return sum(_combinations(group[a + 1 : b]) for a, b in zip(cuts, [*cuts[1:], len(group)]))


def _unescaped(text: str) -> Iterator[tuple[int, str]]:
    """Yields (position, letter) of each letter that is not escaped by a backslash."""
    escaped = False
    for place, letter in enumerate(text):
        if not escaped:
            yield place, letter
        escaped = letter == "\\" and not escaped
