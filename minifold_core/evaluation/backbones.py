"""Sampled backbones beside the native ones of the same chains, in scores that need no truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minifold_core.evaluation.backbone import backbone_scores
from minifold_core.evaluation.judge import Bench
from minifold_core.evaluation.paired import Difference


@dataclass(frozen=True)
class BackboneRow:
    """Means of one score over chains, and the paired difference of model minus native."""

    metric: str
    model: float
    native: float
    difference: Difference

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        means = {"score": self.metric, "model": self.model, "native": self.native}
        return means | self.difference.to_dict()


def judge_backbones(bench: Bench, sampled: Mapping[str, Tensor]) -> list[BackboneRow]:
    """Score sampled backbones beside the native ones; a chain counts by the mean of its samples.

    Args:
        bench: the native chains.
        sampled: chain name to samples [N, L, 4, 3] of N, Cα, C, O in ångström.
    """
    native, ours = backbone_scores_of(bench, sampled)
    rows = []
    for metric, theirs in native.items():
        means = ours[metric].nanmean(1)
        difference = Difference.of(means, theirs, bench.seed)
        rows.append(
            BackboneRow(metric, float(means.nanmean()), float(theirs.nanmean()), difference)
        )
    return rows


def backbone_scores_of(
    bench: Bench, sampled: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Scores of native backbones [n] and of sampled ones [n, N]; see :func:`judge_backbones`."""
    batch = bench.batch
    native = backbone_scores(batch.backbone, batch.backbone_mask, batch.tokens, batch.residue_index)
    count = len(next(iter(sampled.values())))
    atoms = torch.zeros(count, *batch.backbone.shape)
    for row, name in enumerate(batch.names):
        atoms[:, row, : sampled[name].shape[1]] = sampled[name]
    mask = batch.mask[..., None].expand(batch.backbone_mask.shape)
    each = [
        backbone_scores(atoms[k], mask, batch.tokens, batch.residue_index) for k in range(count)
    ]
    return native, {name: torch.stack([scores[name] for scores in each], 1) for name in native}
