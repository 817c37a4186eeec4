"""HTML pages without external files, from the templates of this folder, which share head and colours in page.html."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, facts: Mapping, **filters: Callable) -> str:
    """Renders a page. facts: values for the template, all escaped; a missing one raises. filters: functions of a value,
    by name.
    """
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= filters
    return environment.get_template(template).render(facts)
