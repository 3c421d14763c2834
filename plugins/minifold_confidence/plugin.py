"""Entry point: the confidence head, its loss and its metric."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Predicted lDDT of every residue."""
    return [
        ComponentSpec(
            kind="head",
            name="confidence",
            config="minifold_confidence.config:ConfidenceHeadConfig",
            implementation="minifold_confidence.head:ConfidenceHead",
            summary="lDDT of every residue of a sampled structure, as classes",
            sizes={"nano": {"hidden": 32}},
        ),
        ComponentSpec(
            kind="loss",
            name="confidence",
            config="minifold_confidence.config:ConfidenceLossConfig",
            implementation="minifold_confidence.measures:ConfidenceLoss",
            summary="cross-entropy of the lDDT of sampled residues",
        ),
        ComponentSpec(
            kind="metric",
            name="confidence",
            config="minifold_confidence.config:ConfidenceMetricConfig",
            implementation="minifold_confidence.measures:ConfidenceMetric",
            summary="error of the predicted lDDT beside that of one number for all",
        ),
    ]
