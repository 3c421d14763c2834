"""What the sides of a comparison are called: as short as tells them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from minifold_core.recipe_tree import is_file
from minifold_core.runs import WEIGHTS

_TAIL = re.compile(r"([-_./=]+(s|seed)?)+$")
"""What stands before a seed at the end of a name."""


def words_of(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The words of a side's label, the most telling one last.

    Trainings of one side are called by what their names begin with, without a word for the seed:
    ``v13-s0`` and ``v13-s1`` are ``v13``; else by their directory, else by the first and how many
    more there are.

    Args:
        text: what the user wrote.
        names: the runs and weights in it; none for a version or a recipe.
    """
    if not names:
        return (*Path(text).resolve().parts[:-1], Path(text).stem) if is_file(text) else (text,)
    each = [_words(name) for name in names]
    if len(each) == 1:
        return each[0]
    *above, first = each[0]
    shared = _TAIL.sub("", _beginning([words[-1] for words in each]))
    if any(map(str.isalpha, shared)):
        return (*above, shared)
    if above and all(words[:-1] == (*above,) for words in each):
        return (*above,)
    return (*above, f"{first}+{len(each) - 1}")


def _words(name: str) -> tuple[str, ...]:
    """The words of one run or weights file."""
    path = Path(name)
    if not path.exists():
        return (name,)
    *above, last = path.resolve().parts
    last = last.removesuffix(".safetensors")
    if path.is_file() and f"{last}.safetensors" in WEIGHTS and above:
        last = f"{above.pop()}/{last}"
    return (*above, last)


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    alike = takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def labels_of(names: Sequence[tuple[str, ...]]) -> list[str]:
    """For each the shortest end that no other has; one that comes again is numbered."""
    labels = []
    for number, parts in enumerate(names):
        others = [other for other in names if other != parts]
        ends = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
        free = (
            end
            for n, end in enumerate(ends, 1)
            if all("/".join(other[-n:]) != end for other in others)
        )
        before = names[:number].count(parts)
        labels.append(next(free, ends[-1]) + (f" ({before + 1})" if before else ""))
    return labels
