"""Numbers on a page: each is looked up in the page's JSON, and says where it stands there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from markupsafe import Markup

NONE = "–"


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    """With a sign, and without the minus of a small number that is rounded to 0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


Format = Callable[[Any], str]
FORMATS: Mapping[str, Format] = {
    "count": lambda value: f"{value:,.0f}",
    "millions": lambda value: f"{value / 1e6:.1f} M",
    "giga": lambda value: f"{value / 1e9:,.1f} G",
    "megabytes": lambda value: f"{value / 1e6:,.0f} MB",
    "general": lambda value: f"{value:.4g}",
    **{f"fixed{digits}": partial(_fixed, digits=digits) for digits in range(6)},
    **{f"signed{digits}": partial(_signed, digits=digits) for digits in range(6)},
}
"""How a number is printed, by name."""


class Shown:
    """The numbers of a page's JSON, as cells of tables and as words."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def __call__(self, how: str, *path: str | int) -> Markup:
        """A number in running text: its format in :data:`FORMATS`, and where it stands."""
        return Markup('<span data-json="{}">{}</span>').format(*self._found(how, path)[:2])

    def cell(self, how: str, *path: str | int) -> Markup:
        """A number as a cell of a table that can be sorted by it."""
        pointer, text, value = self._found(how, path)
        return Markup('<td class="n" data-json="{}" data-sort="{}">{}</td>').format(
            pointer, "" if value is None else value, text
        )

    def has(self, *path: str | int) -> bool:
        """Whether there is a number."""
        return self._found("general", path)[2] is not None

    def _found(self, how: str, path: tuple[str | int, ...]) -> tuple[str, str, Any]:
        value: Any = self.data
        for key in path:
            if value is not None:
                value = value[key] if isinstance(key, int) else value.get(key)
        pointer = "".join(f"/{str(k).replace('~', '~0').replace('/', '~1')}" for k in path)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return pointer, NONE, None
        return pointer, FORMATS[how](value), value
