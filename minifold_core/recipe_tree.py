"""Recipes as flat trees: dotted keys to values, each with the place that it comes from.

Reading and merging need no validation and import nothing heavy, so listings use this alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from minifold_core.discovery import find_versions, version_package
from minifold_core.errors import RequestError, did_you_mean

FULL = "full"
SCHEMA = 1
SLOTS = ("encoder", "pair_stack", "aux_pair_stack", "denoiser")
"""The fixed slots of a model, in the order in which data flows; ``heads.NAME`` comes after."""
_META = ("schema", "extends")


class Leaf(NamedTuple):
    """A value and where it comes from: a file, a flag."""

    value: Any
    origin: str


Tree = dict[str, Leaf]


@dataclass(frozen=True)
class Source:
    """A merged recipe before validation.

    Attributes:
        id: the version's id, or the stem of a user's own file.
        lineage: ids from the root ancestor to the recipe itself.
        tree: all values, size overlay applied.
        sizes: the sizes that the recipe offers, ``full`` first.
        size: the size chosen.
    """

    id: str
    lineage: tuple[str, ...]
    tree: Tree
    sizes: tuple[str, ...]
    size: str = FULL


def read_source(
    name: str | Path,
    size: str = FULL,
    components: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Source:
    """Read a version or a recipe file with all its ancestors, then apply size and overrides.

    Args:
        name: a version's id or the path of a TOML file; an existing path wins.
        size: ``full`` or a name under ``[sizes]``.
        components: slot to component name, as ``--with`` gives them.
        values: dotted key to value, as ``--set`` gives them.

    Raises:
        RequestError: unknown name or size, unreadable TOML, a circle of ``extends``.
    """
    files = _chain(str(name))
    tree: Tree = {}
    for _, path in files:
        tree = merge(tree, _flatten(_read_toml(path), _origin(path)))
    identifier = files[-1][0]
    sizes = (FULL, *sorted({key.split(".")[1] for key in tree if key.startswith("sizes.")}))
    if size not in sizes:
        raise RequestError(f"{identifier} has no size '{size}'; {did_you_mean(size, sizes)}")
    prefix = f"sizes.{size}."
    overlay = {k.removeprefix(prefix): v for k, v in tree.items() if k.startswith(prefix)}
    tree = {k: v for k, v in tree.items() if not k.startswith("sizes.") and k not in _META}
    tree = merge(tree, overlay)
    swaps = {f"{slot}.component": Leaf(c, "--with") for slot, c in (components or {}).items()}
    tree = merge(tree, swaps)
    tree = merge(tree, _flatten(dict(values or {}), "--set"))
    return Source(identifier, tuple(i for i, _ in files), tree, sizes, size)


def merge(base: Tree, layer: Tree) -> Tree:
    """``layer`` over ``base``; a slot with another component loses what was said of the old one."""
    replaced = [
        key.removesuffix("component")
        for key, leaf in layer.items()
        if key.endswith(".component") and key in base and base[key].value != leaf.value
    ]

    def kept(key: str) -> bool:
        bare = key.split(".", 2)[2] if key.startswith("sizes.") else key
        if any(bare.startswith(prefix) for prefix in replaced):
            return False
        # A table replaces a plain value of the same name, and the other way round.
        return not any(key.startswith(k + ".") or k.startswith(key + ".") for k in layer)

    return {key: leaf for key, leaf in base.items() if kept(key)} | layer


def nest(tree: Mapping[str, Leaf] | Mapping[str, Any]) -> dict[str, Any]:
    """The nested tables of a flat tree."""
    nested: dict[str, Any] = {}
    for key, leaf in tree.items():
        *tables, last = key.split(".")
        here = nested
        for table in tables:
            here = here.setdefault(table, {})
        here[last] = leaf.value if isinstance(leaf, Leaf) else leaf
    return nested


def parse_assignments(pairs: Iterable[str], flag: str) -> dict[str, Any]:
    """Turn ``KEY=VALUE`` words into a dict; values are TOML, or plain text if they are not.

    Raises:
        RequestError: a word without ``=`` or without a key.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key.strip():
            raise RequestError(f"{flag} {pair}: write it as KEY=VALUE")
        try:
            values[key.strip()] = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text
    return values


def _chain(name: str) -> list[tuple[str, Path]]:
    """Ids and files of a recipe and its ancestors, the oldest first."""
    chain: list[tuple[str, Path]] = []
    where = Path()
    while name:
        identifier, path = _locate(name, where)
        if any(path == seen for _, seen in chain):
            circle = " → ".join([*(i for i, _ in chain), identifier])
            raise RequestError(f"recipes extend each other in a circle: {circle}")
        chain.append((identifier, path))
        where = path.parent
        table = _read_toml(path)
        schema = table.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise RequestError(
                f"{_origin(path)}: recipe schema {schema} is newer than {SCHEMA}; update minifold"
            )
        name = table.get("extends", "")
        if not isinstance(name, str):
            raise RequestError(f"{_origin(path)}: extends must be the name of a version or a file")
    return chain[::-1]


def _locate(name: str, where: Path) -> tuple[str, Path]:
    for candidate in (Path(name), where / name):
        if candidate.is_file():
            return candidate.stem, candidate.resolve()
    if name.endswith(".toml"):
        raise RequestError(f"recipe file {name} does not exist")
    if name not in find_versions().items and Path(name).is_dir():
        raise RequestError(f"{name} is a directory; give a version's id or a recipe file")
    return name, version_package(name).directory / "recipe.toml"


def _origin(path: Path) -> str:
    """A short, stable name of a recipe file: ``package/recipe.toml``, or the file's own path."""
    return f"{path.parent.name}/{path.name}" if path.name == "recipe.toml" else str(path)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return _parse(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RequestError(f"recipe {path} cannot be read: {error}") from None


@lru_cache(maxsize=256)
def _parse(path: Path, changed: int) -> dict[str, Any]:
    """The tables of a file as of a time of change; versions share most of their ancestors."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RequestError(f"recipe {path} cannot be read: {error}") from None


def _flatten(table: Mapping[str, Any], origin: str, prefix: str = "") -> Tree:
    flat: Tree = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, origin, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = Leaf(value, origin)
    return flat
