"""The confidence head."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from minifold_core.evaluation.lddt import RADIUS, THRESHOLDS
from minifold_core.geometry.frames import at_least_fp32, pairwise_distances
from minifold_core.interfaces import Features, Head


class ExpectedLddt(Head):
    """lDDT of every residue of a structure, as the model's own distances expect it.

    lDDT asks which distances of the truth a structure keeps (Mariani 2013). The truth is unknown,
    but the distogram says how probable each of its distances is, so that both what is kept and
    what there is to keep have expectations; the lDDT given is their quotient. Nothing is learned
    beside the distogram, and structures are judged by what the trunk read in the sequence alone.
    """

    def forward(
        self,
        *,
        distogram_logits: Tensor,
        distogram_edges: Tensor,
        mask: Tensor,
        sampled: Tensor,
        scale: Tensor,
    ) -> Features:
        """Judge a structure.

        Args:
            distogram_logits: [B, L, L, k + 1] of classes of true distances between Cα.
            distogram_edges: [B, k] ascending edges between the classes, in ångström. Within a class
                all distances are taken as equally probable; the first begins at 0, and the last,
                where it begins below 15 Å, ends at 30.
            mask: [B, L] True where there is a residue.
            sampled: [B, L, 3] Cα of the finished structure in model units.
            scale: [B] ångström per model unit.

        Returns:
            ``plddt`` [B, L], 0 to 1; 0 off the mask and for a residue that is alone.
        """
        low, high = _bounds(at_least_fp32(distogram_edges))
        near = int((low < RADIUS).any(0).sum())  # the classes beyond need no memory
        low, high = low[:, :near], high[:, :near]
        probabilities = at_least_fp32(distogram_logits).softmax(-1)[..., :near]
        others = mask[:, None] & mask[:, :, None]
        others.diagonal(dim1=1, dim2=2).fill_(False)
        probabilities = probabilities * others[..., None]
        true = (high.clamp(max=RADIUS) - low).clamp(min=0) / (high - low)
        possible = (probabilities * true[:, None, None]).sum((2, 3))
        distances = pairwise_distances(sampled) * at_least_fp32(scale)[:, None, None]
        kept = sum(
            (probabilities * _share(distances, limit, low, high)).sum((2, 3))
            for limit in THRESHOLDS
        ) / len(THRESHOLDS)
        return {"plddt": kept / possible.clamp(min=1e-6)}


def _bounds(edges: Tensor) -> tuple[Tensor, Tensor]:
    """[B, k + 1] lower and upper ends of the classes between and beyond [B, k] edges."""
    return pad(edges, (1, 0)), pad(edges, (0, 1), value=2 * RADIUS)


def _share(distances: Tensor, limit: float, low: Tensor, high: Tensor) -> Tensor:
    """[B, L, L, k + 1] share of each class that counts and lies within ``limit`` of a distance."""
    low, high = low[:, None, None], high[:, None, None]
    start = (distances[..., None] - limit).maximum(low)
    end = (distances[..., None] + limit).minimum(high.clamp(max=RADIUS))
    return (end - start).clamp(min=0) / (high - low)
