"""Chains on a plane by their pooled embeddings, coloured by what CATH says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minifold_core.cath import ARCHITECTURES, CLASSES, NAMES, UNKNOWN, Level, label
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.interfaces import PoolingHead
from minifold_core.model import FoldModel
from minifold_core.plots.projection import FEWEST, Projection
from minifold_core.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    PAGE,
    PURPLE,
    VERMILION,
    add_axes,
    new_figure,
    styled,
    tones,
)

CLASS_STYLES = {"1": (BLUE, "o"), "2": (VERMILION, "s"), "3": (GREEN, "^"), "4": (PURPLE, "D")}
"""Colour and marker of each class; architectures have tones of the colour, and the marker."""
OTHERS = "other architectures"


class Group(NamedTuple):
    """Chains that are drawn alike."""

    name: str
    colour: str
    marker: str


SIDE, LEFT, GAP, TOP, LEGEND = 72.0, 16.0, 18.0, 7.0, 36.0
"""Millimetres: panels, what lies around them, and the legend below."""
MARKER, CROWD = 18.0, 500
"""Area of a marker in square points, and how many chains have room for it."""


def check_labels(chains: Sequence[Chain]) -> int:
    """How many chains have a CATH class, after refusing those that would make an empty picture.

    Raises:
        RequestError: there are too few, or none has a CATH label.
    """
    if len(chains) < FEWEST:
        raise RequestError(f"{len(chains)} chains are too few for a picture; add splits (--split)")
    labelled = sum(_code(chain, "class") is not None for chain in chains)
    if not labelled:
        raise RequestError(
            f"none of the {len(chains)} chains has a CATH label to colour it by; pack data that "
            "has them (minifold data fetch cath-4.2), or add splits (--split)"
        )
    return labelled


def pooling_slot(model: FoldModel) -> str:
    """The slot whose head makes one embedding of a chain.

    Raises:
        RequestError: the model has no such head.
    """
    for name, head in model.heads.items():
        if isinstance(head, PoolingHead):
            return f"heads.{name}"
    raise RequestError(
        f"{model.recipe.id} has no head that pools a chain into one embedding, as contact's "
        "heads.cath does; take weights of contact, such as contact:full"
    )


@torch.no_grad()
def embed(model: FoldModel, chains: Sequence[Chain]) -> NDArray[np.float64]:
    """[N, d] embeddings of chains by the model's pooling head, on the model's device.

    Raises:
        RequestError: the model has no such head.
    """
    head = model.part(pooling_slot(model))
    assert isinstance(head, PoolingHead)
    device = next(model.parameters()).device
    size = model.recipe.training.batch_size
    order = sorted(range(len(chains)), key=lambda i: len(chains[i]))
    pooled = []
    for start in range(0, len(order), size):
        batch = collate([chains[i] for i in order[start : start + size]]).to(device)
        trunk = model.trunk(batch, complete=True)
        pooled.append(head.pool(trunk["single"], trunk["mask"]).double().cpu().numpy())
    embeddings = np.concatenate(pooled)
    return embeddings[np.argsort(order)]


@styled
def draw_embeddings(projection: Projection, chains: Sequence[Chain]) -> Figure:
    """The chains by CATH class, and the same by architecture.

    The three most frequent architectures of each class are named, the others grey. Chains that
    have no label, or domains of different ones, are faint.

    Args:
        projection: N points.
        chains: the N chains.
    """
    figure = new_figure(PAGE, TOP + SIDE + LEGEND)
    size = MARKER * min(1.0, CROWD / len(chains)) ** 0.5
    classes = [_code(chain, "class") for chain in chains]
    architectures = [_code(chain, "architecture") for chain in chains]
    panels = (
        ("CATH class", classes, _class_groups(), "no single class"),
        (
            "CATH architecture",
            architectures,
            _architecture_groups(architectures),
            "no single architecture",
        ),
    )
    for column, (title, codes, groups, without) in enumerate(panels):
        axes = add_axes(figure, LEFT + column * (SIDE + GAP), TOP, SIDE, SIDE)
        axes.set_title(title)
        axes.set_xlabel(projection.axes[0])
        axes.set_ylabel(projection.axes[1])
        known = [code if code is None or code in groups else OTHERS for code in codes]
        for code, group in (groups | {None: Group(without, FAINT, ".")}).items():
            rows = [i for i, own in enumerate(known) if own == code]
            if rows:
                _scatter(axes, projection.points[rows], group, size)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.17, -0.13), ncols=2)
    return figure


def _class_groups() -> dict[str | None, Group]:
    return {number: Group(name, *CLASS_STYLES[number]) for number, name in CLASSES.items()}


def _architecture_groups(codes: Sequence[str | None]) -> dict[str | None, Group]:
    """The named architectures by class and frequency, and what the others are drawn as."""
    counts = Counter(code for code in codes if code)
    groups: dict[str | None, Group] = {}
    for number, (colour, marker) in CLASS_STYLES.items():
        own = [code for code in ARCHITECTURES if code.startswith(f"{number}.") and counts[code]]
        own.sort(key=counts.__getitem__, reverse=True)
        for code, tone in zip(own, tones(colour), strict=False):
            groups[code] = Group(f"{code} {ARCHITECTURES[code]}", tone, marker)
    return groups | {OTHERS: Group(OTHERS, GREY, "x")}


def _scatter(axes: Axes, points: NDArray[np.float64], group: Group, size: float) -> None:
    """Draw a group; rarer ones lie on top, and those that are not named below all."""
    order = {FAINT: 1, GREY: 2}.get(group.colour, 3 + 1 / len(points))
    cross = group.marker == "x"
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        zorder=order,
        c=group.colour,
        marker=group.marker,
        linewidths=0.8 if cross else 0.3,
        edgecolors=None if cross else "white",
        label=f"{group.name} ({len(points)})",
    )


def _code(chain: Chain, level: Level) -> str | None:
    number = label(chain.cath, level)
    return None if number == UNKNOWN else NAMES[level][number]
