"""The trainings that an argument of a comparison names: runs and weights files."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minifold_core.discovery import find_versions
from minifold_core.errors import RequestError, did_you_mean
from minifold_core.recipe import Recipe, load_recipe, recipe_from_tables
from minifold_core.runs import RECIPE, WEIGHTS, RunRecord, is_run, read_run
from minifold_core.weights.file import open_weights
from minifold_core.weights.find import find_weights
from minifold_core.weights.header import Header
from minifold_core.weights.known import known_weights
from minifold_core.weights.structure import Structure


@dataclass(frozen=True)
class Member:
    """One training.

    Attributes:
        name: what the user called it.
        weights: its weights: a run's best, else last; None for a run that has none yet.
        header: what the weights say of themselves; None for a stranger's file.
        run: the run directory, if it is known.
        seed: of the training, if the run says it.
    """

    name: str
    weights: Path | None
    header: Header | None
    run: RunRecord | None
    seed: int | None


def read_members(text: str) -> tuple[tuple[Member, ...], Recipe, str]:
    """The trainings that an argument names, their recipe, and the file that it was read from.

    Raises:
        RequestError: an unknown name, something that cannot be read, or trainings joined by commas
            that are not of one recipe at different seeds.
        ProtectedError: named weights are not those that were named.
    """
    parts = text.split(",")
    names = [text] if Path(text).exists() else [name for part in parts if (name := part.strip())]
    found = [_member(name) for name in names]
    if not found:
        raise RequestError(f"'{text}' names nothing to compare")
    _check_one_recipe(names, [recipe for _, recipe, _ in found])
    members = tuple(member for member, _, _ in found)
    if len(members) > 1:
        _check_seeds(members)
    return members, *found[0][1:]


def _member(name: str) -> tuple[Member, Recipe, str]:
    path = Path(name)
    if path.is_dir():
        record = read_run(path) if is_run(path) else None
        if not any((path / weights).is_file() for weights in WEIGHTS):
            return _begun(name, record or read_run(path))
    elif path.exists() or ":" in name:
        of_run = path.exists() and path.name in WEIGHTS and is_run(path.parent)
        record = read_run(path.parent) if of_run else None
    else:
        raise RequestError(_unknown(name))
    file = open_weights(find_weights(path))
    seed = record.environment.get("seed") if record else None
    member = Member(name, file.path, file.header, record, seed if isinstance(seed, int) else None)
    if file.header:
        return member, file.header.read_recipe(str(file.path)), str(file.path)
    known = Structure.of_file(file)
    if not known.lineage:
        raise RequestError(
            f"{name} says nothing of its recipe and has the tensors of no installed version; "
            "compare the recipe file that it was made with"
        )
    version = known.lineage[-1]
    return member, load_recipe(version, known.size), f"{version}/{RECIPE}"


def _begun(name: str, record: RunRecord) -> tuple[Member, Recipe, str]:
    """A run that has no weights yet."""
    path = record.directory / RECIPE
    try:
        recipe = recipe_from_tables(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from None
    seed = record.environment.get("seed")
    return (
        Member(name, None, None, record, seed if isinstance(seed, int) else None),
        recipe,
        str(path),
    )


def _unknown(name: str) -> str:
    """What is wrong with a name that is neither a path nor known."""
    if "/" in name or Path(name).suffix in (".safetensors", ".pt", ".pth", ".ckpt"):
        return f"{name} does not exist; give a run, a weights file, a recipe file or a version's id"
    for problem in find_versions().problems:
        if problem.origin.name == name:
            return f"version '{name}' cannot be used: {problem}"
    if name in find_versions().items:
        return f"'{name}' is a version; only runs and weights are joined by commas"
    known = [*find_versions().items, *known_weights().items]
    return f"'{name}' is no path and no version; {did_you_mean(name, known)}"


def _check_one_recipe(names: Sequence[str], recipes: Sequence[Recipe]) -> None:
    """Refuse to take trainings of different recipes for one side."""
    first = {key: value for key, (value, _) in recipes[0].values().items()}
    for name, recipe in zip(names[1:], recipes[1:], strict=True):
        other = {key: value for key, (value, _) in recipe.values().items()}
        for key in dict.fromkeys([*first, *other]):
            if first.get(key) != other.get(key):
                raise RequestError(
                    f"{names[0]} and {name} are joined by a comma and are not of one recipe: {key} "
                    f"is {first.get(key)} and {other.get(key)}; compare them as two sides"
                )


def _check_seeds(members: Sequence[Member]) -> None:
    """Refuse to count one training twice, or trainings on different data as one."""
    seen: dict[int, str] = {}
    for member in members:
        if member.seed is None:
            raise RequestError(
                f"{member.name} has no run beside it that tells its seed; join run directories"
            )
        if member.seed in seen:
            raise RequestError(
                f"{seen[member.seed]} and {member.name} both have seed {member.seed}; runs joined "
                "by a comma differ by their seed (train --seed)"
            )
        seen[member.seed] = member.name
    data = {m.header.data_digest: m.name for m in members if m.header and m.header.data_digest}
    if len(data) > 1:
        first, second, *_ = data.values()
        raise RequestError(
            f"{first} and {second} were trained on different data; compare them as two sides"
        )
