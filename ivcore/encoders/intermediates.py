"""Intermediate results by name: `out, record = model(x, return_intermediates=("attention", "tokens"))`.

A model's `intermediates` lists the names that it offers. A record maps each requested name to a list, with one entry a layer for names of all
layers. Without `return_intermediates` the record is None, and nothing is kept or computed.
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
    """Keeps a value under its name, if that was requested."""
    if is_recorded(record, name):
        record[name].append(value)


def with_record(out, record: Record):
    """`out`, or (out, record) if there is a record."""
    return out if record is None else (out, record)
