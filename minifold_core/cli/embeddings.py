"""``--embeddings``: which models read them, and how wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.errors import RequestError

if TYPE_CHECKING:
    from minifold_core.data.embeddings import EmbeddingFile
    from minifold_core.folding import Target
    from minifold_core.recipe import Recipe

WIDTH = "d_embedding"
"""The setting of whoever reads embeddings that holds their width."""

EmbeddingsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Embeddings of the residues, by chain name (safetensors)."),
]


def open_embeddings(recipe: Recipe, path: Path | None) -> EmbeddingFile | None:
    """The file for a recipe that reads embeddings, of any width; None for one that does not.

    Raises:
        RequestError: the recipe needs embeddings and there is no file, or the other way round; or
            it cannot be read.
    """
    from minifold_core.assembly import embedding_ports
    from minifold_core.data.embeddings import EmbeddingFile

    ports = embedding_ports(recipe)
    if path is None:
        for slot in (slot for slot, port in ports.items() if not port.optional):
            name = recipe.slots[slot].spec.name
            raise RequestError(
                f"{slot} '{name}' reads precomputed embeddings; give them with --embeddings FILE"
            )
        return None
    if not ports:
        raise RequestError(
            f"--embeddings: nothing in {recipe.id} reads embeddings; leave it out, or train a "
            "model that does (minifold train --with encoder=embeddings)"
        )
    return EmbeddingFile(path)


def widths_in_file(recipe: Recipe, file: EmbeddingFile | None) -> dict[str, int]:
    """Values of a recipe that make its readers of embeddings as wide as those in the file.

    Raises:
        RequestError: the recipe says another width.
    """
    if file is None:
        return {}
    from minifold_core.assembly import embedding_ports

    values = {f"{slot}.{WIDTH}": file.width for slot in embedding_ports(recipe)}
    for key, width in values.items():
        said = recipe.tree.get(key)
        if said is not None and said.value != width:
            raise RequestError(
                f"{said.origin}: {key} = {said.value}, but the embeddings of {file.path} are "
                f"{width} wide; leave {key} out"
            )
    return values


def fitting_embeddings(recipe: Recipe, path: Path | None) -> EmbeddingFile | None:
    """The file for a trained model, which knows how wide its embeddings are.

    Raises:
        RequestError: see :func:`open_embeddings`; or they have another width.
    """
    from minifold_core.assembly import embedding_width

    file = open_embeddings(recipe, path)
    width = embedding_width(recipe)
    if file and width not in (None, file.width):
        raise RequestError(
            f"{file.path}: embeddings are {file.width} wide, and {recipe.id} was trained on "
            f"{width} wide ones; give those of the same language model"
        )
    return file


def embedded_targets(
    targets: Sequence[Target], recipe: Recipe, path: Path | None, hidden: bool
) -> list[Target]:
    """Proteins to sample, with the embeddings that the model reads; zeros where all is ``hidden``.

    Raises:
        RequestError: see :func:`fitting_embeddings`; or a protein has none or too many or few rows.
    """
    if hidden:
        import numpy as np

        from minifold_core.assembly import embedding_width

        if path is not None:
            raise RequestError("--length has no sequence to read; leave --embeddings out")
        width = embedding_width(recipe)
        if width is None:
            return list(targets)
        return [replace(t, embeddings=np.zeros((len(t.sequence), width))) for t in targets]
    file = fitting_embeddings(recipe, path)
    if file is None:
        return list(targets)
    file.check((target.name, len(target.sequence)) for target in targets)
    return [replace(target, embeddings=file.read(target.name)) for target in targets]
