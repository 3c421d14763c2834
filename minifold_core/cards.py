"""Model cards: what is true of a version, beside the recipe, which keeps what it was."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from minifold_core.discovery import VersionPackage
from minifold_core.errors import MinifoldError, did_you_mean, words_of

SCHEMA = 1
NAME = "card.toml"

Paragraph = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
"""Text whose line breaks in the file mean nothing."""


class Card(BaseModel):
    """What is known of a version in words.

    Attributes:
        hardware: what the published run used; empty if that is not known.
        changed: what the version changed from its parent, and why.
        learned: what was learned from it.
        wrong: what is wrong in it, or in what was published of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hardware: Paragraph = ""
    changed: Paragraph = ""
    learned: Paragraph = ""
    wrong: tuple[Paragraph, ...] = ()


def card_of(package: VersionPackage) -> Card | None:
    """The card beside a version's recipe; None if it has none.

    Raises:
        MinifoldError: it cannot be read, is of a newer schema, or holds an unknown key or a value
            of the wrong type.
    """
    path = package.directory / NAME
    return _read(path) if path.is_file() else None


@cache
def _read(path: Path) -> Card:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MinifoldError(f"card {path} cannot be read: {error}") from None
    schema = table.pop("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise MinifoldError(f"card {path} has schema {schema!r}, not {SCHEMA}; update minifold")
    try:
        return Card.model_validate(table)
    except ValidationError as report:
        fault = report.errors()[0]
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            why = f"unknown key '{key}'; {did_you_mean(key, Card.model_fields)}"
        else:
            why = f"{key} = {fault['input']!r}: {words_of(fault)}"
        raise MinifoldError(f"card {path}: {why}") from None
