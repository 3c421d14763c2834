"""Recipes as flat trees: dotted keys to values, each with the place that it comes from.

Reading and merging need no validation and import nothing heavy, so listings use this alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from minifold_core.discovery import version_package
from minifold_core.errors import RequestError, did_you_mean

FULL = "full"
SCHEMA = 1
_META = ("schema", "extends", "resolved")
_RETIRED_TRAINING = ("rollouts", "rollout_steps")
"""Keys that [training] once had, and that runs and weights of that time still hold."""


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
        name: a version's id, or the path of a file that ends in ``.toml``.
        size: ``full`` or a name under ``[sizes]``.
        components: slot to component name, as ``--with`` gives them.
        values: dotted key to value, as ``--set`` gives them.

    Raises:
        RequestError: unknown name or size, unreadable TOML, a circle of ``extends``.
    """
    files = _chain(str(name))
    identifier, lineage = files[-1].id, tuple(file.id for file in files)
    meta = files[0].meta
    if meta:  # an ancestor that a run wrote knows its own ancestors
        lineage = (*meta.lineage[:-1], *lineage)
    tree: Tree = {}
    for file in files:
        layer = flatten(file.tables, file.origin)
        _sizes(layer)
        tree = merge(tree, layer)
    flags = flatten(dict(values or {}), "--set")
    swaps = {f"{slot}.component": Leaf(c, "--with") for slot, c in (components or {}).items()}
    swaps |= {key: leaf for key, leaf in flags.items() if key.endswith(".component")}
    tree = merge(tree, swaps)
    sizes = (meta.size,) if meta else _sizes(tree)
    if meta and size == FULL:
        size = meta.size
    if size not in sizes:
        alone = len(files) == 1 and files[0].own and not meta
        way = f'; {name} extends nothing: to have v13\'s sizes, begin it with extends = "v13"'
        why = did_you_mean(size, sizes) + (way if alone else "")
        raise RequestError(f"{identifier} has no size '{size}'; {why}")
    own = {file.origin for file in files if file.own}
    tree = tree if meta else _sized(tree, size, own)
    tree = merge(tree, flags)
    return Source(identifier, lineage, tree, sizes, size)


def training_command(name: str) -> str:
    """The command that trains a version or a recipe file, at size nano where it offers that.

    Raises:
        RequestError: as :func:`read_source` does.
    """
    size = " --size nano" if "nano" in read_source(name).sizes else ""
    return f"minifold train {quote(name)}{size}"


def _sized(tree: Tree, size: str, own: set[str]) -> Tree:
    """The tree at a size: presets of its components, then its size table, above the rest.

    What a user's ``own`` files say holds at every size, unless their size tables say otherwise.
    """
    prefix = f"sizes.{size}."
    overlay = {k.removeprefix(prefix): v for k, v in tree.items() if k.startswith(prefix)}
    full = {k: v for k, v in tree.items() if not k.startswith("sizes.")}
    full = merge(full, {k: v for k, v in overlay.items() if k.endswith(".component")})
    sized = merge(merge(full, _presets(full, size)), overlay)
    for layer in (full, overlay):
        sized = merge(sized, {k: v for k, v in layer.items() if v.origin in own})
    return sized


def _sizes(tree: Tree) -> tuple[str, ...]:
    """The names of the size tables, ``full`` first."""
    names = set()
    for key in (key for key in tree if (key + ".").startswith("sizes.")):
        if key.count(".") < 2:
            raise RequestError(f"{tree[key].origin}: '{key}' must be a table of recipe sections")
        names.add(key.split(".")[1])
    return (FULL, *sorted(names))


def _presets(tree: Tree, size: str) -> Tree:
    """What the components in the slots say of themselves at that size."""
    if size == FULL:
        return {}
    from minifold_core.components import slot_kind
    from minifold_core.discovery import find_components

    presets: Tree = {}
    for key, leaf in tree.items():
        path = key.removesuffix(".component")
        kind = slot_kind(path) if path != key else None
        offer = find_components().items.get(f"{kind}/{leaf.value}")
        for name, value in offer.spec.sizes.get(size, {}).items() if offer else ():
            presets[f"{path}.{name}"] = Leaf(value, f"{size} preset of {kind} '{leaf.value}'")
    return presets


def merge(base: Tree, layer: Tree) -> Tree:
    """``layer`` over ``base``; a slot with another component loses what was said of the old one."""
    replaced = [
        key.removesuffix("component")
        for key, leaf in layer.items()
        if key.endswith(".component") and key in base and base[key].value != leaf.value
    ]

    above = {prefix for key in layer for prefix in _prefixes(key)}

    def kept(key: str) -> bool:
        bare = key.split(".", 2)[2] if key.startswith("sizes.") else key
        if any(bare.startswith(prefix) for prefix in replaced):
            return False
        # A table replaces a plain value of the same name, and the other way round.
        return key not in above and not any(prefix in layer for prefix in _prefixes(key))

    return {key: leaf for key, leaf in base.items() if kept(key)} | layer


def _prefixes(key: str) -> list[str]:
    """The tables that a key lies in: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def nest(tree: Mapping[str, Leaf] | Mapping[str, Any]) -> dict[str, Any]:
    """The nested tables of a flat tree."""
    nested: dict[str, Any] = {}
    for key, leaf in tree.items():
        *tables, last = key.split(".")
        here = nested
        for table in tables:
            here = here.setdefault(table, {})
            if not isinstance(here, dict):
                raise RequestError(f"'{key}' is set, and so is a plain value of a table above it")
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


class Meta(NamedTuple):
    """What a resolved recipe, as runs and weights hold it, says of where it came from."""

    id: str
    size: str
    lineage: tuple[str, ...]

    @classmethod
    def of(cls, tables: Mapping[str, Any], origin: str) -> Meta | None:
        """The table ``[resolved]``, if there is one.

        Raises:
            RequestError: it is damaged, or the recipe's schema is newer than this program's.
        """
        schema = tables.get("schema", SCHEMA)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise RequestError(
                f"{origin}: recipe schema {schema!r} is not {SCHEMA}; update minifold"
            )
        if "resolved" not in tables:
            return None
        try:
            meta = cls(**tables["resolved"])
            if all(isinstance(word, str) for word in (meta.id, meta.size, *meta.lineage)):
                return meta._replace(lineage=tuple(meta.lineage))
        except TypeError:
            pass
        raise RequestError(f"{origin}: its table [resolved] is damaged")


def content(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a recipe without those that describe its file, and without retired settings.

    Those are passed over where a run or weights hold them; in a recipe that a person wrote they are
    unknown, as any other word is.
    """
    found = {key: value for key, value in tables.items() if key not in _META}
    training = found.get("training")
    if "resolved" in tables and isinstance(training, dict):
        found["training"] = {k: v for k, v in training.items() if k not in _RETIRED_TRAINING}
    return found


class File(NamedTuple):
    """A recipe file: its tables without what describes the file itself."""

    id: str
    origin: str
    tables: dict[str, Any]
    meta: Meta | None
    own: bool
    """Whether it is a user's own file, rather than an installed version."""


def _chain(name: str) -> list[File]:
    """A recipe file and its ancestors, the oldest first."""
    files: list[File] = []
    seen: list[Path] = []
    where = Path()
    while name:
        try:
            identifier, path = _locate(name, where)
        except RequestError as error:
            raise RequestError(f"{files[-1].origin}: {error}" if files else str(error)) from None
        if path in seen:
            circle = " → ".join([*(file.id for file in files), identifier])
            raise RequestError(f"recipes extend each other in a circle: {circle}")
        seen.append(path)
        where = path.parent
        origin = str(path) if is_file(name) else f"{identifier}/recipe.toml"
        tables = _read_toml(path)
        meta = Meta.of(tables, origin)
        own = meta.id if meta else identifier
        files.append(File(own, origin, content(tables), meta, is_file(name)))
        name = tables.get("extends", "")
        if not isinstance(name, str):
            raise RequestError(f"{origin}: extends must be the name of a version or a file")
    return files[::-1]


def is_file(name: str | Path) -> bool:
    """Whether a recipe's name means a file, not a version."""
    return str(name).endswith(".toml")


def _locate(name: str, where: Path) -> tuple[str, Path]:
    if not is_file(name):
        return name, version_package(name).directory / "recipe.toml"
    for candidate in (Path(name), where / name):
        if candidate.is_file():
            return candidate.stem, candidate.resolve()
    raise RequestError(f"recipe file {name} does not exist")


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


def flatten(table: Mapping[str, Any], origin: str, prefix: str = "") -> Tree:
    """The flat tree of nested tables; empty ones leave nothing.

    Raises:
        RequestError: an empty table came from a flag, where it would do nothing unnoticed.
    """
    flat: Tree = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            if not value and origin == "--set":
                raise RequestError(f"--set {prefix}{key}={{}} sets nothing")
            flat |= flatten(value, origin, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = Leaf(value, origin)
    return flat
