"""Entry point: the losses of the published line, and those that came after it."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1

_LOSSES = {
    "fape": ("frames", "FAPE", "frame aligned point error of Cα in the predicted frames"),
    "frame_rot": ("frames", "FrameRotation", "1 - cos of the angle between the frames"),
    "dist_mse": ("distances", "Distance", "squared error of all pairwise Cα distances"),
    "clash": ("distances", "Clash", "squared overlap of Cα nearer than 3 Å, more at contacts"),
    "bond": ("local", "Bond", "squared error of consecutive Cα distances against 3.8 Å"),
    "angle": ("local", "Angle", "squared error of cosines of Cα bond angles"),
    "chirality": ("local", "Chirality", "squared error of signed volumes of Cα quartets"),
    "rg": ("heads", "Rg", "squared error of the logarithm of the radius of gyration"),
    "aux_dist": ("heads", "OrdinalDistance", "ordinal cross-entropy of binned Cα distances"),
    "aux_distogram": ("heads", "Distogram", "cross-entropy of Cα distances as classes"),
    "aligned_mse": ("aligned", "AlignedMSE", "squared error of Cα after superposition"),
    "smooth_lddt": ("distances", "SmoothLDDT", "1 - lDDT of Cα with sigmoids for its steps"),
    "masked_residues": ("residues", "MaskedResidues", "cross-entropy of hidden amino acids"),
    "secondary": ("residues", "Secondary", "cross-entropy of helix, strand or neither"),
}

_METRICS = {
    "residue_accuracy": ("ResidueAccuracy", "accuracy of hidden amino acids beside leucine"),
    "secondary_accuracy": ("SecondaryAccuracy", "accuracy of secondary structure beside coil"),
}


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The terms, those of the published columns under their names; and accuracies of residues."""
    losses = [
        ComponentSpec(
            kind="loss",
            name=name,
            config=f"minifold_losses.config:{stem}Config",
            implementation=f"minifold_losses.{module}:{stem}Loss",
            summary=summary,
        )
        for name, (module, stem, summary) in _LOSSES.items()
    ]
    metrics = [
        ComponentSpec(
            kind="metric",
            name=name,
            config=f"minifold_losses.config:{stem}Config",
            implementation=f"minifold_losses.residues:{stem}",
            summary=summary,
        )
        for name, (stem, summary) in _METRICS.items()
    ]
    return losses + metrics
