"""Intermediates by name: `out, record = model(x, return_intermediates=("attention", "tokens"))`.

A model's `intermediates` are the names that it offers. A record maps each name asked for to a list, which has one entry a layer where a
name stands for all layers. Without `return_intermediates` the record is None, and nothing is kept or computed.
"""

from __future__ import annotations

from ivcore.errors import ParameterError

Record = dict[str, list] | None


def start_record(names: tuple[str, ...], available: tuple[str, ...]) -> Record:
    """An empty record for these names, None for no names. ParameterError for a name that is not available."""
    for name in names:
        if name not in available:
            raise ParameterError(f"return_intermediates: {name!r} is not one of {', '.join(available)}")
    return {name: [] for name in names} or None


def is_recorded(record: Record, name: str) -> bool:
    return record is not None and name in record


def add_to(record: Record, name: str, value) -> None:
    """Keep a value under its name, if that was asked for."""
    if is_recorded(record, name):
        record[name].append(value)


def with_record(out, record: Record):
    """`out` alone, or (out, record)."""
    return out if record is None else (out, record)
