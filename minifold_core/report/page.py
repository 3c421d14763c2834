"""Writing a page: template, content and scripts in one file that asks nothing of any network.

A Content-Security-Policy in the page forbids every request and every script but its own, whose
hashes it lists. What the page shows is also in it as JSON, and each number is taken from there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from minifold_core.errors import ProtectedError
from minifold_core.files import atomic
from minifold_core.recipe_diff import value_text
from minifold_core.report.numbers import Shown
from minifold_core.version import __version__

HERE = Path(__file__).parent
GENERATOR = f'<meta name="generator" content="minifold {__version__}">'
MARK = '<meta name="generator" content="minifold '
"""By which a page of ours is known."""
PAGE_SCRIPTS = ("vendored/sortable.min.js", "vendored/sortable.a11y.min.js", "page.js")
VIEWER_SCRIPTS = ("vendored/3Dmol-min.js", "viewer.js")


def write_page(
    template: str,
    data: Mapping[str, Any],
    path: Path,
    structures: Sequence[Mapping[str, Any]] = (),
    **context: Any,
) -> None:
    """Write a page.

    Args:
        template: its name in ``templates/``.
        data: what the page shows, as ``--json`` tells it; all numbers finite.
        path: the file.
        structures: for the 3-D view, as :func:`minifold_core.report.structures.superposed` gives
            them; without any, the page carries no viewer.
        context: what else the template asks for.

    Raises:
        MinifoldError: the file cannot be written.
    """
    text = render(template, data, structures, **context)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def render(
    template: str,
    data: Mapping[str, Any],
    structures: Sequence[Mapping[str, Any]] = (),
    **context: Any,
) -> str:
    """The text of a page, as :func:`write_page` writes it."""
    names = PAGE_SCRIPTS + (VIEWER_SCRIPTS if structures else ())
    scripts = [_asset(name) for name in names]
    return (
        _environment()
        .get_template(template)
        .render(
            data=data,
            shown=Shown(data),
            json=embedded(data),
            structures=structures,
            structures_json=embedded(structures),
            style=_asset("page.css"),
            scripts=scripts,
            policy=policy(scripts),
            generator=Markup(GENERATOR),
            version=__version__,
            **context,
        )
    )


def embedded(value: Any) -> Markup:
    """JSON that ends no script element and opens no comment in one."""
    text = json.dumps(value, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def policy(scripts: Sequence[str]) -> str:
    """A Content-Security-Policy that allows these scripts, and styles and pictures inside."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def check_target(path: Path) -> None:
    """Refuse to write over a file.

    Raises:
        ProtectedError: it exists.
    """
    if path.exists():
        raise ProtectedError(f"{path} exists; choose another --html")


def is_ours(path: Path) -> bool:
    """Whether a file is a page that minifold wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(4096)


@cache
def _asset(name: str) -> Markup:
    return Markup((HERE / "assets" / name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["value"] = value_text
    return made
