"""Native contacts of chains beside the contacts that a model predicts from their sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from minifold_core.batch import Truth
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.contacts import CONTACT, contact_figures, native_contacts
from minifold_core.interfaces import FLOOR
from minifold_core.model import FoldModel
from minifold_core.plots.selection import class_name
from minifold_core.plots.style import PAGE, add_axes, add_text, new_figure, sequential, styled

MIN_SEPARATION = 3
"""Pairs nearer along the chain always touch: they are neither judged nor drawn."""
LONG_RANGE = 24

SIDE, LEFT, TOP, GAP, ROW = 52.0, 13.0, 7.0, 7.0, 65.0
"""Millimetres: side of a map, its place on the page, and what lies between maps and rows."""
TEXT_LEFT, TEXT_RIGHT = LEFT + 2 * SIDE + GAP + 6, PAGE - 6
BAR_HEIGHT, BOTTOM = 2.5, 12.0


@dataclass(frozen=True)
class ContactMaps:
    """One chain: L rows and columns along the numbers of its residues, NaN where not drawn.

    Attributes:
        chain: the chain.
        native: [L, L] 1 for pairs in contact and 0 for others.
        predicted: [L, L] probabilities of contact.
        figures: what :func:`~minifold_core.evaluation.contacts.contact_figures` says of it.
    """

    chain: Chain
    native: NDArray[np.float64]
    predicted: NDArray[np.float64]
    figures: dict[str, float]


@torch.no_grad()
def contact_maps(model: FoldModel, chains: Sequence[Chain]) -> list[ContactMaps]:
    """Predict the contacts of each chain by itself, on the model's device.

    Raises:
        RequestError: no part of the model gives contacts.
    """
    if not any("contacts" in step.gives.values() for step in model.wiring.steps):
        raise RequestError(
            f"nothing in '{model.recipe.id}' gives port 'contacts'; its encoder "
            f"'{model.recipe.slots['encoder'].spec.name}' gives none: choose other weights"
        )
    device = next(model.parameters()).device
    return [_maps(model, chain, device) for chain in chains]


def _maps(model: FoldModel, chain: Chain, device: torch.device) -> ContactMaps:
    batch = collate([chain]).to(device)
    truth = Truth.of(batch)
    predicted = model.trunk(batch, complete=True)["contacts"]
    contact, known, separation = native_contacts(truth)
    drawn = (known & separation.ge(MIN_SEPARATION))[0].cpu().numpy()
    place = np.ix_(chain.residue_index, chain.residue_index)

    def along_chain(values: torch.Tensor) -> NDArray[np.float64]:
        grid = np.full((int(chain.residue_index[-1]) + 1,) * 2, np.nan)
        grid[place] = np.where(drawn, values[0].double().cpu().numpy(), np.nan)
        return grid

    figures = contact_figures(predicted, truth, MIN_SEPARATION)
    return ContactMaps(
        chain,
        along_chain(contact),
        along_chain(predicted),
        {name: float(value[0]) for name, value in figures.items()},
    )


@styled
def draw_contacts(maps: Sequence[ContactMaps]) -> Figure:
    """A row for each chain: native contacts, predicted probabilities, and figures of merit."""
    figure = new_figure(PAGE, TOP + len(maps) * ROW + BOTTOM)
    for row, each in enumerate(maps):
        top = TOP + row * ROW
        native = add_axes(figure, LEFT, top, SIDE, SIDE)
        predicted = add_axes(figure, LEFT + SIDE + GAP, top, SIDE, SIDE)
        _draw_map(native, each.native)
        image = _draw_map(predicted, each.predicted)
        native.set_ylabel("residue")
        predicted.tick_params(labelleft=False)
        if row == 0:
            native.set_title(f"native contacts (Cα within {CONTACT:.0f} Å)")
            predicted.set_title("predicted from the sequence")
        _write_figures(figure, top, each)
    bar = add_axes(figure, LEFT + SIDE + GAP, TOP + len(maps) * ROW - 1, SIDE, BAR_HEIGHT)
    figure.colorbar(image, cax=bar, orientation="horizontal", label="probability of contact")
    return figure


def _draw_map(axes: Axes, values: NDArray[np.float64]) -> AxesImage:
    end = len(values) + 0.5
    image = axes.imshow(
        values,
        cmap=sequential(),
        vmin=0,
        vmax=1,
        extent=(0.5, end, end, 0.5),
        interpolation="nearest",
    )
    axes.set_xlabel("residue")
    axes.locator_params(nbins=6, integer=True)
    return image


def _write_figures(figure: Figure, top: float, maps: ContactMaps) -> None:
    """The chain's name, and lines of text with or without a number at their end."""
    chain, found = maps.chain, maps.figures
    add_text(figure, TEXT_LEFT, top, chain.name, weight="bold")
    lines = (
        (f"{len(chain)} residues, {chain.split} split", None),
        (class_name(chain) or "no CATH class known", None),
        ("", None),
        (f"pairs with p ≥ 0.5, |i − j| ≥ {MIN_SEPARATION}", None),
        ("   precision P", "contact_precision"),
        ("   recall R", "contact_recall"),
        ("", None),
        (f"best L pairs, |i − j| ≥ {LONG_RANGE}", None),
        ("   precision", f"precision_L_{LONG_RANGE}"),
        ("   floor: nearest pairs", f"{FLOOR}precision_L_{LONG_RANGE}"),
    )
    for number, (text, name) in enumerate(lines):
        place = top + 5 + 4 * number
        add_text(figure, TEXT_LEFT, place, text)
        if name is not None:
            add_text(figure, TEXT_RIGHT, place, _number(found[name]), align="right")


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
