"""The weights file that a user means by a path or a name."""

from __future__ import annotations

from pathlib import Path

from minifold_core.console import note
from minifold_core.discovery import find_versions
from minifold_core.errors import RequestError
from minifold_core.recipe_tree import FULL, training_command
from minifold_core.weights.known import lookup, weights_of


def find_weights(path: str | Path) -> Path:
    """The weights file that is meant: a file itself, a run's best (else last) weights, or a name.

    A name is ``ID:TAG``, or the id of a version that has weights; which of them is said. A path
    that exists wins over a name. Named weights at a URL are fetched, and the file is checked by the
    hash that was recorded of it.

    Raises:
        RequestError: there is none.
        ProtectedError: the name's file is not the one that was named.
        MinifoldError: it cannot be fetched.
    """
    path = Path(path)
    if path.is_file():
        return path
    for name in ("best.safetensors", "last.safetensors"):
        if (path / name).is_file():
            return path / name
    if path.is_dir():
        what = "holds no best.safetensors or last.safetensors"
    elif ":" in path.name and path.name == str(path):
        return lookup(path.name).locate()
    elif path.name == str(path) and (own := weights_of(path.name)):
        names = ", ".join(known.name for known in own.values())
        if len(own) > 1 and FULL not in own:
            raise RequestError(f"{path} has several weights; name one of {names}")
        known = own.get(FULL) or next(iter(own.values()))
        note(f"weights: {known.name}" + (f" of {names}" if len(own) > 1 else ""))
        return known.locate()
    elif str(path) in find_versions().items:
        raise RequestError(
            f"{path} has no weights here: train it ({training_command(str(path))}), or take one "
            "that has some (minifold weights list)"
        )
    else:
        what = "does not exist"
    raise RequestError(
        f"{path} {what}; give a run directory, a .safetensors file, or ID:TAG (minifold weights "
        "list)"
    )
