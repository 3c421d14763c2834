"""The floor that knows one curve: how far apart residues lie, on average, by their separation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from minifold_core.data.records import Chain, entry_of
from minifold_core.errors import RequestError
from minifold_core.geometry.frames import pairwise_distances


def distance_map(
    residue_index: Tensor, mask: Tensor, names: Sequence[str], library: Iterable[Chain]
) -> Tensor:
    """[B, L, 3] the fold whose distances are the library's means at every separation |i - j|.

    Three dimensions are found by classical scaling (Torgerson 1952). Distances leave the hand open:
    it is always the one that winds as a right-handed helix does (:func:`scaled`), whatever the
    truth. A target's own entry is left out of its means.

    Args:
        residue_index: [B, L] positions along the chains.
        mask: [B, L] True where there is a Cα to place.
        names: B chain names.
        library: real chains.

    Raises:
        RequestError: the library has no pair of residues in another entry.
    """
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(2, 0, dtype=torch.float64))
    for chain in library:
        sums[chain.entry] = _added(sums[chain.entry], _separation_sums(chain))
    total = torch.zeros(2, 1, dtype=torch.float64)
    for each in sums.values():
        total = _added(total, each)
    prediction = torch.zeros(*mask.shape, 3)
    for row, (name, known) in enumerate(zip(names, mask.cpu(), strict=True)):
        means = _means(_added(total, -sums[entry_of(name)]), name)
        index = residue_index[row].cpu()[known]
        separation = (index[:, None] - index).abs().clamp(max=len(means) - 1)
        prediction[row, known] = scaled(means[separation]).float()
    return prediction.to(mask.device)


def scaled(distances: Tensor) -> Tensor:
    """[n, 3] points whose distances come near to ``distances`` [n, n], by classical scaling.

    Of the two mirror images it is the one whose steps from point to point wind, in sum, to the
    right, as those of an α-helix do.
    """
    n = len(distances)
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    products = -0.5 * centring @ distances.double().square() @ centring
    values, vectors = torch.linalg.eigh(products)
    largest = min(3, n)
    points = torch.zeros(n, 3, dtype=torch.float64)
    points[:, :largest] = vectors[:, -largest:] * values[-largest:].clamp(min=0).sqrt()
    steps = points.diff(dim=0)
    winding = (torch.linalg.cross(steps[:-2], steps[1:-1]) * steps[2:]).sum()
    return points if winding >= 0 else -points


def _separation_sums(chain: Chain) -> Tensor:
    """[2, S] summed distances and numbers of known pairs, by separation."""
    known = torch.from_numpy(chain.ca_mask)
    points = torch.from_numpy(chain.ca)[known].double()
    index = torch.from_numpy(chain.residue_index)[known].long()
    separation = (index[:, None] - index).abs().flatten()
    distances = pairwise_distances(points[None])[0].flatten()
    return torch.stack([separation.bincount(distances), separation.bincount().double()])


def _added(one: Tensor, other: Tensor) -> Tensor:
    """The sum of [2, S] and [2, S'], the shorter one continued with zeros."""
    width = max(one.shape[1], other.shape[1])
    return sum(
        (torch.nn.functional.pad(each, (0, width - each.shape[1])) for each in (one, other)),
        start=torch.zeros(2, width, dtype=torch.float64),
    )


def _means(sums: Tensor, name: str) -> Tensor:
    """[S] mean distances; a separation that nobody has seen takes that of the next smaller one."""
    distance, count = sums
    seen = count > 0
    if not seen[1:].any():
        raise RequestError(f"{name}: no chain of another entry to compare with; add more data")
    place = torch.arange(len(count)).where(seen, 0).cummax(0).values
    return distance[place] / count[place].clamp(min=1)
