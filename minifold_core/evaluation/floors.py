"""Trivial predictors: what any model must beat on the same chains before its score means anything.

None of them looks at a sequence. Coordinates are in ångström; masks [B, L] are True where the Cα is
known. The mirror image of the truth is no floor: it shows what a perfect map of distances without
the right hand would score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.records import Chain, entry_of
from minifold_core.errors import RequestError
from minifold_core.evaluation.distance_map import distance_map
from minifold_core.geometry.size import centre, radius_of_gyration
from minifold_core.units import CA_CA

ONE_POINT = "one point"
COIL = "coil of the right size"
OTHER_CHAIN = "another real chain"
DISTANCE_MAP = "mean distance map"
MIRROR = "mirror image of the truth"


def floor_predictions(
    batch: ProteinBatch, library: Iterable[Chain], generator: torch.Generator
) -> dict[str, Tensor]:
    """The predictions [B, L, 3] of every floor, by its name.

    Args:
        batch: B native chains.
        library: real chains from which the floors learn what proteins look like: best those of a
            split that the targets are not in, for a relative would be no floor.
        generator: makes the floors repeatable.

    Raises:
        RequestError: the library has no chain of another entry.
    """
    library = list(library)
    target, mask = batch.ca, batch.ca_mask
    return {
        ONE_POINT: one_point(target, mask),
        COIL: coil(target, mask, generator),
        OTHER_CHAIN: other_chain(mask, batch.names, library, generator),
        DISTANCE_MAP: distance_map(batch.residue_index, mask, batch.names, library),
    }


def mirror_image(target: Tensor) -> Tensor:
    """[B, L, 3] every point reflected in a plane: right in every distance, of the wrong hand."""
    return target * target.new_tensor([-1.0, 1.0, 1.0])


def one_point(target: Tensor, mask: Tensor) -> Tensor:
    """[B, L, 3] every residue at the centre of the known Cα."""
    return centre(target, mask).expand_as(target)


def coil(target: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """[B, L, 3] freely jointed chains of 3.8 Å steps, scaled to the target's radius of gyration."""
    steps = torch.randn(target.shape, generator=generator).to(target)
    walk = (CA_CA * torch.nn.functional.normalize(steps, dim=-1)).cumsum(1)
    walk = walk - centre(walk, mask)
    right_size = radius_of_gyration(target, mask) / radius_of_gyration(walk, mask).clamp(min=1e-6)
    return walk * right_size[:, None, None] + centre(target, mask)


def other_chain(
    mask: Tensor, names: Sequence[str], library: Iterable[Chain], generator: torch.Generator
) -> Tensor:
    """[B, L, 3] a window, at random, of a real chain that comes from another entry.

    The chain is drawn among those that are long enough. For a target longer than all others, chains
    are drawn among all and joined end to end.

    Raises:
        RequestError: the library has no chain of another entry.
    """
    traces = [(chain.entry, torch.tensor(chain.ca[chain.ca_mask])) for chain in library]
    predictions = torch.zeros(*mask.shape, 3)
    for row, (name, known) in enumerate(zip(names, mask.cpu(), strict=True)):
        length = int(known.sum())
        others = [trace for entry, trace in traces if entry != entry_of(name) and len(trace)]
        if not others:
            raise RequestError(f"{name}: no chain of another entry to compare with; add more data")
        trace = _draw([other for other in others if len(other) >= length] or others, generator)
        while len(trace) < length:
            more = _draw(others, generator)
            beyond = trace[-1] + trace.new_tensor([CA_CA, 0.0, 0.0])
            trace = torch.cat([trace, more - more[0] + beyond])
        start = _randint(len(trace) - length + 1, generator)
        predictions[row, known] = trace[start : start + length]
    return predictions.to(mask.device)


def _draw(traces: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    return traces[_randint(len(traces), generator)]


def _randint(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
