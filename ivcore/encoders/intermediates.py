"""Intermediates by name: `out, seen = model(x, want=("attention", "tokens"))`. Without `want` nothing is kept or computed."""

from __future__ import annotations

from ivcore.errors import ParameterError

Seen = dict[str, list] | None


def start(want: tuple[str, ...], offered: tuple[str, ...]) -> Seen:
    """An empty record for the wanted names; None when nothing is wanted."""
    for name in want:
        if name not in offered:
            raise ParameterError(f"want: {name!r} is not one of {', '.join(offered)}")
    return {name: [] for name in want} or None


def wanted(seen: Seen, name: str) -> bool:
    return seen is not None and name in seen


def note(seen: Seen, name: str, value) -> None:
    """Keep a value under its name (names that stand for one a layer collect a list)."""
    if wanted(seen, name):
        seen[name].append(value)


def answer(out, seen: Seen):
    """`out` alone, or (out, seen)."""
    return out if seen is None else (out, seen)
