"""``minifold plugins new``: a package with a component or a version of one's own."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

import typer

from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.scaffold import PARTS, NewKind, NewPackage

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
LONGEST = 20
"""Characters of a name: so lines of the code that is made stay within 88."""
PARENT = "v13"
"""What a new version extends if nothing is said."""


def new(
    name: Annotated[str, typer.Argument(help="Of the component or version: contact-order.")],
    kind: Annotated[NewKind, typer.Option(help="What the package offers.")],
    out: Annotated[
        Path | None, typer.Option(help="The directory to make; default minifold-NAME.")
    ] = None,
    extends: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help=f"What a version extends; default {PARENT}."),
    ] = None,
) -> None:
    """Write a package with a component, or a version, of your own: small, but it works and trains.

    It has a config, an implementation, tests through the conformance kit and a README.
    """
    if extends is not None and kind != "version":
        raise RequestError(f"--extends goes with --kind version, not with --kind {kind}")
    if not NAME.fullmatch(name) or iskeyword(name) or len(name) > LONGEST:
        raise RequestError(
            f"'{name}' cannot name a package: it takes at most {LONGEST} lower-case letters, "
            "digits and single hyphens, a letter first, and no word of Python"
        )
    parent = (extends or PARENT) if kind == "version" else ""
    package = NewPackage(name.replace("-", "_"), kind, parent)
    _check_free(package)
    directory = out or Path(package.distribution)
    files = package.files()
    _write(directory, files)
    print(f"{package.title}, in {directory}:")
    for path in sorted(files, key=lambda path: (path.count("/"), path)):
        print(f"  {path}")
    print("next:")
    print(f"  pip install -e {shlex.quote(f'{directory}[test]')}")
    print(f"  pytest {shlex.quote(str(directory))}")
    print(f"  minifold {package.train}")


def _check_free(package: NewPackage) -> None:
    """Refuse a name that an installed component, plugin, version or package has.

    Raises:
        RequestError: it has an owner, who is named; or there is no version to extend.
    """
    from minifold_core.discovery import find_components, find_versions, version_package

    if package.extends:
        version_package(package.extends)
    found, versions = find_components(), find_versions().items
    owners = {f"component '{key}'": offer.origin for key, offer in found.items.items()}
    owners |= {f"plugin '{origin.name}'": origin for origin in found.load_ms}
    owners |= {f"version '{name}'": version.origin for name, version in versions.items()}
    parts = PARTS[package.kind]
    wanted = [f"component '{part.kind}/{package.name}'" for part in parts]
    for what in (*wanted, f"{'plugin' if parts else 'version'} '{package.name}'"):
        if owner := owners.get(what):
            home = f"{owner.distribution} {owner.version}"
            raise RequestError(f"{what} is there already, from {home}; choose another name")
    if importlib.util.find_spec(package.package):
        raise RequestError(
            f"a package '{package.package}' is installed already; choose another name"
        )


def _write(directory: Path, files: dict[str, str]) -> None:
    """Make a directory with these files, whole or not at all.

    Raises:
        ProtectedError: something of that name exists.
        MinifoldError: it cannot be written.
    """
    if directory.exists():
        raise ProtectedError(f"{directory} exists; choose another --out")
    temporary = directory.absolute()
    temporary = temporary.with_name(f".{temporary.name}.{os.getpid()}.tmp")
    try:
        for path, text in files.items():
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        temporary.rename(directory)
    except OSError as error:
        raise MinifoldError(f"{directory} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
