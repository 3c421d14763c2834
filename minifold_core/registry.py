"""The registry: what is known about versions beside their recipes."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from minifold_core.discovery import VersionPackage
from minifold_core.errors import MinifoldError, RequestError, words_of

SCHEMA = 1
STATUSES = ("current", "archived", "superseded", "experimental", "planned")
PUBLISHED = {
    "total": "val_total",
    "class_accuracy": "val_class_acc",
    "sampled/tm": "ddim_tm",
    "sampled/rmsd": "ddim_rmsd",
}
"""Our names of the columns of published tables that are not called as here."""


class WeightsEntry(BaseModel):
    """Weights that a registry knows by a tag.

    Attributes:
        tag: their name beside the version's: ``b30`` in ``v12b:b30``.
        location: an absolute path, or an https URL; empty in the registry of a version for the file
            ``weights/TAG.safetensors`` that ships beside its recipe.
        sha256: of the file; only what ships beside a recipe, in no registry, has none.
        bytes: its length; 0 if not known.
        size: of the model: full, nano, ...; empty if not known.
        metrics: validation figures, as the file's header has them.
        familiar: names of chains, such as the demo set's, that they are known to have learned from,
            themselves or by relatives.
        note: whatever its owner wants to remember.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tag: str
    location: str = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    bytes: int = 0
    size: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    familiar: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """What the registry says of one version.

    Attributes:
        summary: one line.
        status: one of :data:`STATUSES`.
        best_epoch: the row of the version's published table that is its best.
        published: the best epoch's figures, of a version that published no table.
        weights: weights files and where they are.
    """

    summary: str = ""
    status: str = "experimental"
    best_epoch: int | None = None
    published: dict[str, float] | None = None
    weights: list[WeightsEntry] = field(default_factory=list)


def entry(package: VersionPackage) -> Entry:
    """What the shipped catalogue, or a ``registry.toml`` beside its recipe, says of a version.

    Raises:
        MinifoldError: a registry file cannot be read or holds an unknown key or status.
    """
    shipped, own = _installed(shipped_path()), package.directory / "registry.toml"
    if package.id not in shipped and own.is_file():
        return _installed(own).get(package.id, Entry())
    return shipped.get(package.id, Entry())


def printed_history(package: VersionPackage) -> list[dict[str, str]]:
    """The published training table of a version as it was printed; empty if none was."""
    path = package.directory / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def history(package: VersionPackage) -> list[dict[str, Any]]:
    """The published training table as numbers, a dict per epoch without what was not printed."""
    rows = printed_history(package)
    return [{key: _number(text) for key, text in row.items() if text} for row in rows]


def published_best(package: VersionPackage) -> dict[str, Any] | None:
    """The published figures of the version's best epoch."""
    known = entry(package)
    rows = (row for row in history(package) if row.get("epoch") == known.best_epoch)
    return next(rows, known.published)


def shipped_path() -> Path:
    """``registry.toml``: in the package when installed, at the project's top in a source tree."""
    inside = Path(__file__).parent / "registry.toml"
    return inside if inside.is_file() else Path(__file__).parent.parent / "registry.toml"


def read_registry(path: Path) -> dict[str, Entry]:
    """The entries of one registry file, by version.

    Raises:
        MinifoldError: it cannot be read, or holds an unknown key or status, or weights without a
            hash.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.get("schema", SCHEMA) > SCHEMA:
            raise RequestError(
                f"registry {path} has schema {document['schema']}, newer than {SCHEMA}; "
                "update minifold"
            )
        entries = {name: _entry(table) for name, table in document.get("models", {}).items()}
    except ValidationError as report:
        fault = report.errors()[0]
        what = ".".join(map(str, fault["loc"]))
        raise MinifoldError(f"registry {path}: weights: {what}: {words_of(fault)}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MinifoldError(f"registry {path} cannot be read: {error}") from None
    for name, known in entries.items():
        if known.status not in STATUSES:
            raise MinifoldError(f"registry {path}: {name} has unknown status '{known.status}'")
        for weights in known.weights:
            if not weights.sha256:
                raise MinifoldError(f"registry {path}: {name}:{weights.tag} has no sha256")
    return entries


_installed = cache(read_registry)
"""For the registries of installed packages, which do not change while a program runs."""


def _entry(table: dict[str, Any]) -> Entry:
    weights = [WeightsEntry.model_validate(row) for row in table.get("weights", ())]
    return Entry(**{**table, "weights": weights})


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text or "e" in text else int(text)
    except ValueError:
        return text
