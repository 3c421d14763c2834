"""What an ablation asks, and the record that keeps two questions out of one directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from minifold_core.ablation.budget import Budget
from minifold_core.asked import changes, read_asked
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.recipe import Recipe, load_recipe

QUESTION = "question.json"
SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """One recipe that is tried.

    Attributes:
        argument: what the user wrote: a version's id or a recipe file.
        recipe: the same, read.
    """

    argument: str
    recipe: Recipe

    @property
    def label(self) -> str:
        """The version's id, or the file's name without ``.toml``: a row and a directory."""
        return self.recipe.id

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe with every value written out, its name and lineage left out."""
        tables = {key: table for key, table in self.recipe.to_tables().items() if key != "resolved"}
        return sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def read_entries(arguments: Sequence[str], size: str) -> tuple[Entry, ...]:
    """Read the recipes, and check that each can be trained, sampled and told from the others.

    Raises:
        RequestError: a recipe cannot be read or built, denoises nothing, or is there twice.
    """
    from minifold_core.assembly import wire

    entries: list[Entry] = []
    for argument in arguments:
        entry = Entry(argument, load_recipe(argument, size))
        if entry.recipe.process is None:
            raise RequestError(f"{argument} denoises nothing: there are no samples to judge")
        for other in entries:
            if other.label == entry.label:
                raise RequestError(
                    f"{other.argument} and {argument} are both called {entry.label}; name each "
                    "recipe once, and give files names of their own"
                )
            if other.digest == entry.digest:
                raise RequestError(f"{other.argument} and {argument} are one and the same recipe")
        wire(entry.recipe)
        entries.append(entry)
    return tuple(entries)


@dataclass(frozen=True)
class Question:
    """What all trainings of an ablation have in common, and the recipes that differ.

    Attributes:
        entries: the recipes; differences are taken from the first.
        seeds: trainings of each recipe, with the seeds 0 to ``seeds`` - 1.
        budget: of each training.
        data: the packed data, by name.
        data_digest: their SHA-256.
        size: of all models.
        embeddings_digest: SHA-256 of the file of embeddings; empty if there is none.
        device: the kind that everything is trained on: a second buys more on another.
    """

    entries: tuple[Entry, ...]
    seeds: int
    budget: Budget
    data: str
    data_digest: str
    size: str
    embeddings_digest: str
    device: str

    def fixed(self) -> dict[str, Any]:
        """What must not change while trainings are compared; recipes and seeds may be added."""
        return {
            "budget": str(self.budget),
            "size": self.size,
            "data_sha256": self.data_digest,
            "embeddings_sha256": self.embeddings_digest,
            "device": self.device,
        }

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            **self.fixed(),
            "data": self.data,
            "seeds": list(range(self.seeds)),
            "recipes": {entry.label: entry.digest for entry in self.entries},
        }


def check_question(directory: Path, question: Question) -> dict[str, str]:
    """Refuse a directory that holds something else, or the answers to another question.

    Returns:
        Label to digest of the recipes that were asked for there before.

    Raises:
        ProtectedError: it does; nothing was changed.
        RequestError: its record cannot be read.
    """
    record = directory / QUESTION
    if not record.is_file():
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise ProtectedError(
                f"--out {directory} exists and holds no ablation; choose another directory"
            )
        return {}
    now = question.fixed()
    before = read_asked(record, (*now, "recipes"))
    recipes: dict[str, str] = before["recipes"]
    changed = changes(before, now)
    changed += [
        f"recipe {entry.label} has other values than before (its file, or a default of minifold)"
        for entry in question.entries
        if recipes.get(entry.label, entry.digest) != entry.digest
    ]
    if changed:
        raise ProtectedError(
            f"--out {directory} answers another question: {'; '.join(changed)}. Trainings of two "
            "questions cannot be compared; choose another --out"
        )
    return recipes


def write_question(directory: Path, question: Question, before: dict[str, str]) -> None:
    """Write the record, the recipes of ``before`` kept in it.

    Raises:
        MinifoldError: it cannot be written.
    """
    asked = question.to_dict()
    asked["recipes"] = before | asked["recipes"]
    with atomic(directory / QUESTION) as path:
        text = json.dumps({"schema": SCHEMA} | asked, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
