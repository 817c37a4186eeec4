"""The names of generated sets that a parameter accepts instead of the user's files.

    metaworld, creatures, …    one source, see `rendered` and `metaworld`
    hybrid                     all sources that are available here, joined: see `hybrid`
    hybrid:shapes+creatures    these sources, joined

Only the standard library is imported, because parameters are checked before a kernel starts.
"""

import difflib

from ivcore.errors import ParameterError

HYBRID, METAWORLD, SHAPES = "hybrid", "metaworld", "shapes"
OF_HYBRID = (SHAPES, "creatures", "camera", METAWORLD, "figures", "walks")  # its sources, in this order
RENDERED = ("creatures", "camera", "figures", "walks", "bodies")  # made by `rendered`; nothing is trained on bodies
ALONE = (METAWORLD, *RENDERED)  # the moving shapes alone have the name "", or "shapes" for captions
ALLOWED = f"{', '.join(ALONE)}, {HYBRID} or {HYBRID}:{'+'.join(OF_HYBRID[:2])}"


def names_set(value: str) -> bool:
    """Whether the value names a generated set. ParameterError for a hybrid of unknown sources."""
    if value.startswith(f"{HYBRID}:"):
        sources_in(value)
    return value in (*ALONE, HYBRID) or value.startswith(f"{HYBRID}:")


def normalised(value: str) -> str:
    """The set's name in normal form: the sources of a hybrid in their order, each once. ParameterError as in `sources_in`."""
    if not value.startswith(HYBRID):
        return value
    return f"{HYBRID}:{'+'.join(sources)}" if (sources := sources_in(value)) else HYBRID


def meant(value: str) -> str:
    """The name that a misspelt value is close to; only the part before the colon is corrected. "" if it is close to none."""
    first, colon, sources = value.partition(":")
    near = difflib.get_close_matches(first, [HYBRID] if colon else [*ALONE, HYBRID], n=1)
    return f"{near[0]}{colon}{sources}" if near else ""


def sources_in(value: str) -> tuple[str, ...]:
    """ "hybrid:shapes+creatures" -> its sources in their order; () for "hybrid". ParameterError for unknown sources."""
    named = value.removeprefix(HYBRID).removeprefix(":")
    asked = [name.strip() for name in named.split("+")] if named else []
    if wrong := [name for name in asked if name not in OF_HYBRID]:
        raise ParameterError(f"{value!r}: {wrong[0]!r} must be one of {', '.join(OF_HYBRID)}, joined by +")
    return tuple(name for name in OF_HYBRID if name in asked)
