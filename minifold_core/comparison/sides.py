"""The sides of a comparison: versions, recipes, and what was trained from them; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minifold_core.comparison.labels import labels_of, words_of
from minifold_core.comparison.members import Member, read_members
from minifold_core.discovery import VersionPackage, find_versions, version_package
from minifold_core.errors import RequestError
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.recipe_tree import FULL, is_file, read_source
from minifold_core.runs import RECIPE


@dataclass(frozen=True)
class Side:
    """One of the models that are compared.

    Attributes:
        label: as short as tells it from the others: a version's id, the name of a run or a file.
        argument: what the user wrote.
        recipe: the model and its training.
        source: the file that the recipe was read from.
        package: the installed version that the recipe belongs to; None for a user's own.
        members: the trainings; none for a version or a recipe.
    """

    label: str
    argument: str
    recipe: Recipe
    source: str
    package: VersionPackage | None
    members: tuple[Member, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether there are weights to measure, with the header that minifold writes."""
        return bool(self.members) and all(member.header for member in self.members)


def read_sides(arguments: Sequence[str], size: str | None = None) -> tuple[Side, ...]:
    """Find out what each argument means.

    An argument is a run directory, a weights file, a recipe file, a version's id or the name of
    weights; a path that exists wins. Several runs joined by commas are one side.

    Args:
        arguments: two or more.
        size: of versions and recipes; default: that of the first side with weights or a run if
            they offer it, else ``full``.

    Raises:
        RequestError: fewer than two, an unknown name, something that cannot be read, runs of one
            side that are not one recipe at different seeds, or a size that no side takes.
        ProtectedError: named weights are not those that were named.
    """
    if len(arguments) < 2:
        raise RequestError(
            "a comparison takes two sides or more, such as: minifold compare v12 v13"
        )
    trained = {text: read_members(text) for text in arguments if not _is_recipe(text)}
    if size and len(trained) == len({*arguments}):
        raise RequestError(f"--size {size}: runs and weights have their own size; leave it out")
    sizes = [recipe.size for _, recipe, _ in trained.values()]
    wanted = sizes[0] if sizes else FULL
    names = {text: [member.name for member in found[0]] for text, found in trained.items()}
    labels = labels_of([words_of(text, names.get(text, [])) for text in arguments])
    sides = []
    for label, text in zip(labels, arguments, strict=True):
        if text in trained:
            members, recipe, source = trained[text]
            package = find_versions().items.get(recipe.id)
        else:
            members = ()
            recipe = load_recipe(text, size or (wanted if _offers(text, wanted) else FULL))
            source = text if is_file(text) else f"{text}/{RECIPE}"
            package = None if is_file(text) else version_package(text)
        sides.append(Side(label, text, recipe, source, package, members))
    return tuple(sides)


def _is_recipe(text: str) -> bool:
    """Whether an argument is a recipe file or a version's id, not something trained."""
    return is_file(text) or (not Path(text).exists() and text in find_versions().items)


def _offers(text: str, size: str) -> bool:
    return size in read_source(text).sizes
