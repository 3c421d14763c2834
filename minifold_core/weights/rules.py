"""What a new version of a component does to the weights of the version before: ``migrations.toml``.

The file lies in the package of the component's plugin and speaks of names inside the slot, so its
rules hold in whatever model the component stands::

    [denoiser.ipa.2.rename]             # from version 1 to version 2 of denoiser 'ipa'
    "blocks.*.attn" = "blocks.*.attention"
    [denoiser.ipa.2.fresh]
    "gate" = "new: how far frames count"
    [denoiser.ipa.2.drop]
    "blocks.*.unused.bias" = "nothing read it"

A name stands for a tensor or for a module with all that is in it; ``*`` is one word between dots.
"""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from minifold_core.components import ComponentSpec
from minifold_core.errors import MinifoldError
from minifold_core.recipe_schema import Section

SCHEMA = 1
NAME = "migrations.toml"


class Rules(Section):
    """The rules of one step, from a component's version to the next."""

    rename: dict[str, str] = Field(default_factory=dict)
    fresh: dict[str, str] = Field(default_factory=dict)
    drop: dict[str, str] = Field(default_factory=dict)


class Moved(NamedTuple):
    """What the rules make of the names in a slot.

    Attributes:
        names: new name to old name.
        fresh: pattern of new names to the reason why they have no source.
        dropped: old name to the reason.
        faults: rules that match nothing, and names that two rules match.
    """

    names: dict[str, str]
    fresh: dict[str, str]
    dropped: dict[str, str]
    faults: list[str]


def move(spec: ComponentSpec, version: int, names: Iterable[str]) -> Moved:
    """Apply the rules of every step from ``version`` to the installed version of a component.

    Args:
        spec: the component as it is installed.
        version: the version that made the weights.
        names: their names inside the slot.
    """
    moved = Moved({name: name for name in names}, {}, {}, [])
    rules = read_rules(spec)
    for number in range(version + 1, spec.version + 1):
        table = f"[{spec.kind}.{spec.name}.{number}]"
        if str(number) in rules:
            _step(rules[str(number)], f"{where_rules_live(spec)} {table}", moved)
        else:
            moved.faults.append(
                f"{spec.kind} '{spec.name}' says nothing of weights of its version {number - 1}; "
                f"add {table} to {where_rules_live(spec)}"
            )
    return moved


def _step(rules: Rules, where: str, moved: Moved) -> None:
    said: dict[str, str] = {}
    for pattern in (*rules.rename, *rules.drop):
        hits = [name for name in moved.names if matches(pattern, name)]
        if not hits:
            moved.faults.append(f"{where}: '{pattern}' matches nothing; take the rule out")
        for name in hits:
            if name in said:
                moved.faults.append(
                    f"{where}: '{said[name]}' and '{pattern}' both match '{name}'; keep one"
                )
            said[name] = pattern
    before = dict(moved.names)
    moved.names.clear()
    for name, old in before.items():
        pattern = said.get(name, "")
        if pattern in rules.drop:
            moved.dropped[old] = rules.drop[pattern]
            continue
        new = _renamed(pattern, rules.rename[pattern], name) if pattern else name
        if new in moved.names:
            moved.faults.append(f"{where}: '{moved.names[new]}' and '{old}' both become '{new}'")
        moved.names[new] = old
    moved.fresh.update(rules.fresh)


def matches(pattern: str, name: str) -> bool:
    """Whether a rule's pattern stands for a tensor."""
    return _regex(pattern).fullmatch(name) is not None


def _renamed(pattern: str, new: str, name: str) -> str:
    """A name with what ``pattern`` matched replaced by ``new``."""
    found = _regex(pattern).fullmatch(name)
    assert found is not None
    *words, rest = found.groups()
    for word in words:
        new = new.replace("*", word, 1)
    return new + rest


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    words = [r"([^.]+)" if word == "*" else re.escape(word) for word in pattern.split(".")]
    return re.compile(r"\.".join(words) + r"((?:\..+)?)")


def read_rules(spec: ComponentSpec) -> dict[str, Rules]:
    """A component's rules by the version that they lead to; empty if its plugin ships none.

    Raises:
        MinifoldError: the file cannot be read, or says what no rule can say.
    """
    path = _file(spec)
    if path is None or not path.is_file():
        return {}
    where = where_rules_live(spec)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        if tables.get("schema", SCHEMA) > SCHEMA:
            raise MinifoldError(f"{where} has schema {tables['schema']}; update minifold")
        steps = tables.get(spec.kind, {}).get(spec.name, {})
        return {number: Rules.model_validate(table) for number, table in steps.items()}
    except (OSError, ValueError, TypeError, AttributeError, ValidationError) as error:
        raise MinifoldError(f"{where} cannot be read: {str(error).splitlines()[0]}") from None


def where_rules_live(spec: ComponentSpec) -> str:
    """The file that holds a component's rules, for messages."""
    return f"{_package(spec)}/{NAME}"


def _package(spec: ComponentSpec) -> str:
    return spec.config.partition(":")[0].partition(".")[0]


def _file(spec: ComponentSpec) -> Path | None:
    """Where the rules would lie; the package is found without importing it."""
    found = importlib.util.find_spec(_package(spec))
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / NAME if places else None
