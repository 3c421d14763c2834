"""Embeddings on a plane: by principal components, or by UMAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minifold_core.errors import RequestError, did_you_mean

FEWEST = 5
"""Below this many points there is nothing to see."""
NEIGHBOURS = 15


@dataclass(frozen=True)
class Projection:
    """Points on a plane.

    Attributes:
        points: [N, 2].
        axes: what the two axes are.
        variance: share of the variance along each axis, where the method knows it.
    """

    points: NDArray[np.float64]
    axes: tuple[str, str]
    variance: tuple[float, float] | None = None


def projector(method: str) -> Callable[[NDArray[np.float64]], Projection]:
    """The projection of that name.

    Raises:
        RequestError: there is none, or what it needs is not installed.
    """
    if method not in METHODS:
        raise RequestError(f"--method {method}: {did_you_mean(method, METHODS)}")
    if method == "umap":
        _umap_class()
    return METHODS[method]


def pca(embeddings: NDArray[np.float64]) -> Projection:
    """The two directions of largest variance of [N, d] embeddings (Pearson 1901).

    The sign of a direction is free; the largest coefficient is made positive.
    """
    centred = embeddings - embeddings.mean(0)
    left, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(directions[:2]).argmax(1)
    signs = np.sign(directions[np.arange(2), largest])
    first, second = (float(share) for share in (sizes**2 / (sizes**2).sum())[:2])
    return Projection(
        left[:, :2] * sizes[:2] * signs,
        (f"PC 1 ({100 * first:.0f} % of variance)", f"PC 2 ({100 * second:.0f} % of variance)"),
        (first, second),
    )


def umap(embeddings: NDArray[np.float64]) -> Projection:
    """UMAP of [N, d] embeddings (McInnes 2018) with its usual settings and a fixed seed.

    Raises:
        RequestError: umap-learn is not installed.
    """
    neighbours = min(NEIGHBOURS, len(embeddings) - 1)
    reducer = _umap_class()(n_neighbors=neighbours, random_state=0, n_jobs=1)
    points = np.asarray(reducer.fit_transform(embeddings), np.float64)
    return Projection(points, ("UMAP 1 (no unit)", "UMAP 2 (no unit)"))


METHODS = {"pca": pca, "umap": umap}


def _umap_class() -> type:
    try:
        from umap import UMAP
    except ImportError as error:
        raise RequestError(
            "--method umap needs umap-learn, which is not installed: pip install 'minifold[umap]'"
        ) from error
    return UMAP
