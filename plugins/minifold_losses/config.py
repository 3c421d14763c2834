"""Configs of the losses: the ports that each compares, and its constants in ångström."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from minifold_core.components import ComponentConfig, LossFacts
from minifold_core.ports import Port
from minifold_core.units import CA_CA, SIGMA_DATA

COORDS = Port("coords", "B,L,3", width=3)
ROTATIONS = Port("rotations", "B,L,3,3", width=3)
UNITS = "model units: 10 Å, the radius of gyration up to v10"
SQUARED = f"squared {UNITS}"
SNR = Port("snr", "B")
TRUE_CA = Port("truth.ca", "B,L,3", width=3)
TRUE_ROTATIONS = Port("truth.rotations", "B,L,3,3", width=3)


class LossConfig(ComponentConfig):
    """Base of the loss configs; by default a loss compares Cα coordinates with the native ones."""

    ports: ClassVar[tuple[Port, ...]] = (COORDS, TRUE_CA)

    def needs(self) -> tuple[Port, ...]:
        """The predicted and the native ports that the loss compares."""
        return self.ports


class NoiseWeightedConfig(LossConfig):
    """Base of the configs of losses that may count more where there is less noise.

    Attributes:
        noise_weight: ``none``; ``edm``, which is 1 + σ_data² / σ² at noise of standard deviation
            σ; or ``snr``, which is σ_data² / σ² alone.
        noise_weight_limit: the largest weight, for σ may be 0; ``edm`` reaches 5 at
            half of σ_data.
        sigma_data: σ_data, the spread of the Cα along an axis, in ångström.
    """

    noise_weight: Literal["none", "edm", "snr"] = "none"
    noise_weight_limit: float = Field(default=5.0, gt=0)
    sigma_data: float = Field(default=SIGMA_DATA, gt=0)

    def needs(self) -> tuple[Port, ...]:
        """The noise level beside the other ports, if it is weighted by."""
        level = () if self.noise_weight == "none" else (SNR,)
        return (*super().needs(), *level)


class AlignedMSEConfig(NoiseWeightedConfig):
    """Squared error of positions, once the native structure lies on the predicted one."""

    facts = LossFacts(
        formula="mean over residues of |x_i − (R x*_i + t)|², R and t of the best superposition",
        unit=f"{SQUARED}; times the weight of the noise level where the recipe sets one",
        floor="2.44 all residues at one point, 2.9 another real chain, 1.9 the mean distance map, "
        "0.84 the mirror image of the truth (demo set), all without a weight of the noise level",
        target="without such a weight 0.01, which is an RMSD of 1 Å",
    )


class SmoothLDDTConfig(LossConfig):
    """Share of near distances that are kept, made smooth.

    Attributes:
        cutoff: native distance in ångström up to which pairs count.
    """

    facts = LossFacts(
        formula="1 − mean over pairs with d* < 15 Å of the mean over c = 0.5, 1, 2 and 4 Å of "
        "sigmoid(c − |d − d*|), |d − d*| in Å",
        unit="none; from 0.20 to 1",
        floor="0.98 all residues at one point, 0.65 another real chain, 0.75 a coil of the right "
        "size (demo set); a mirror image scores as the truth does",
        target="0.20, which the native structure scores: sigmoids never reach 1",
    )
    cutoff: float = Field(default=15.0, gt=0)


class FAPEConfig(LossConfig):
    """Frame aligned point error.

    Attributes:
        clamp: in ångström; None for the published, unclamped form.
        frames: the ``predicted`` rotations, or ``rebuilt`` from the predicted Cα trace, as up to
            v11, where nothing else asked the rotations to be right.
    """

    facts = LossFacts(
        formula="mean over frames f and residues j of |R_fᵀ (x_j − o_f) − R*_fᵀ (x*_j − o*_f)|",
        unit=UNITS,
        floor="1.86 all residues at one point, 2.38 another real chain, 1.78 the best linear "
        "denoiser that sees no sequence, as a mean over noise levels (105 chains of up to 125 "
        "residues, units of 10 Å). The published baseline of 1.31 is not reproduced.",
        target="0; the published page takes values below 1 for correct folds",
    )

    clamp: float | None = Field(default=None, gt=0)
    frames: Literal["predicted", "rebuilt"] = "predicted"

    def needs(self) -> tuple[Port, ...]:
        """Positions on both sides, and rotations unless they are rebuilt."""
        rotations = (ROTATIONS,) if self.frames == "predicted" else ()
        return (COORDS, *rotations, TRUE_CA, TRUE_ROTATIONS)


class FrameRotationConfig(LossConfig):
    """Angle between predicted and native frames."""

    facts = LossFacts(
        formula="mean over frames of 1 − cos θ = (3 − tr RᵀR*) / 2",
        unit="none; from 0 to 2",
        floor="1.5 for uniformly random rotations, whose mean angle is 126.5°; 1.01 the linear "
        "denoiser that sees no sequence (105 chains). The published baseline of 1.0 is an angle "
        "of 90°.",
        target="below 0.5, which is 60°, on the published page",
    )
    ports = (ROTATIONS, TRUE_ROTATIONS)


class DistanceConfig(LossConfig):
    """Squared error of all pairwise distances."""

    facts = LossFacts(
        formula="mean over pairs of (|x_i − x_j| − |x*_i − x*_j|)²",
        unit=SQUARED,
        floor="4.6 one point, 1.36 another real chain, 0.62 the linear denoiser that sees no "
        "sequence (105 chains, units of 10 Å); 0.54 on the published page",
        target="0.01, which is 1 Å. The published page calls 0.1 sub-ångström: it is 3.2 Å.",
    )


class BondConfig(LossConfig):
    """Consecutive distances against one ``length`` in ångström, cis bonds included as published."""

    facts = LossFacts(
        formula="mean over consecutive residues of (|x_{i+1} − x_i| − 3.8 Å)²",
        unit=SQUARED,
        floor="0.144 all residues at one point, by arithmetic; 0.17 on the published page",
        target="0.0001, which is 0.1 Å. The published page says so of 0.02: in units of 10 Å that "
        "is 1.4 Å.",
    )
    length: float = Field(default=CA_CA, gt=0)


class ChiralityConfig(LossConfig):
    """Handedness of quartets."""

    facts = LossFacts(
        formula="mean over quartets of (V − V*)², V = v1 · (v2 × v3) / (|v1| |v2| |v3|)",
        unit="none; from 0 to 4",
        floor="0.41 all residues at one point, where V = 0 (demo set)",
        target="0; the mirror image has V = −V*",
    )


class AngleConfig(LossConfig):
    """Angles of triplets."""

    facts = LossFacts(
        formula="mean over triplets of (cos θ − cos θ*)²",
        unit="none; from 0 to 4",
        floor="0.12 all residues at one point, where cos θ = 0 (demo set); 0.70 on the published "
        "page",
        target="0. Published as met below 0.1, just under that floor. Natural angles are 105.6 ± "
        "17.3°; the 120° of the page is no target, since the loss compares with the native angle.",
    )


class RgConfig(LossConfig):
    """Radius of gyration, from a head that gives its logarithm."""

    facts = LossFacts(
        formula="(ln Rg − ln Rg*)²",
        unit="squared logarithm: 0.01 is an error of 10 %",
        floor="the variance of ln Rg among the chains: 0.12 in the demo set",
        target="below 0.05 on the published page, an error of 22 %",
    )
    ports = (Port("log_rg", "B"), TRUE_CA)


class OrdinalDistanceConfig(LossConfig):
    """Distances against the edges of the head that predicts them."""

    facts = LossFacts(
        formula="mean over pairs and edges b_k of the cross-entropy of P(d > b_k)",
        unit="nats per edge",
        floor="0.69 a coin for every edge; 0.41 the same probability for every pair, 0.31 one for "
        "each separation along the chain (both fitted to the demo set itself)",
        target="well below the predictor that knows only the separation",
    )
    ports = (Port("distance_logits", "B,L,L,k"), Port("distance_edges", "B,k"), TRUE_CA)


class DistogramConfig(LossConfig):
    """Distances against the bins of the head that classifies them."""

    facts = LossFacts(
        formula="mean over pairs of −log p[bin(d)]",
        unit="nats",
        floor="4.56 the same probability for each of v10's 96 bins, 4.16 for each of the 64 of "
        "later heads; of those 3.30 one for each separation along the chain (fitted to the demo "
        "set itself)",
        target="well below that; the published head went from 3.95 to 38.8 in three epochs",
    )
    ports = (Port("distogram_logits", "B,L,L,n"), Port("distogram_edges", "B,k"), TRUE_CA)


class ClashConfig(LossConfig):
    """Overlap of residues that are too near, weighted by contact probability.

    Attributes:
        threshold: distance from which there is no overlap.
        unit: what ``threshold`` counts: ``angstrom``, or model units, which in v9 made it some
            36 Å and had it punish nearly every pair.
    """

    facts = LossFacts(
        formula="mean over pairs that are not bonded of [(1 + 2 c_ij) max(0, 3 Å − |x_i − x_j|)]²",
        unit=SQUARED,
        floor="0.09 all residues at one point with no contact predicted, by arithmetic",
        target="0, which native chains score",
    )
    ports = (COORDS, Port("contacts", "B,L,L", optional=True), TRUE_CA)
    threshold: float = Field(default=3.0, gt=0)
    unit: Literal["angstrom", "model"] = "angstrom"


class MaskedResiduesConfig(LossConfig):
    """Native residues where the model saw MASK: it needs ``training.masked_residues``."""

    facts = LossFacts(
        formula="mean over hidden residues of −ln p(residue)",
        unit="nats; 0 where none is hidden",
        floor="ln 20 = 3.00 without information, 2.92 the frequencies of the amino acids (fitted "
        "to the demo set itself)",
        target="below that floor",
    )
    ports = (
        Port("residue_logits", "B,L,c", width=20),
        Port("tokens", "B,L"),
        Port("truth.tokens", "B,L"),
    )


class SecondaryConfig(LossConfig):
    """Helix, strand or neither, as P-SEA (Labesse 1997) finds them in the native trace."""

    facts = LossFacts(
        formula="mean over residues of −ln p(coil, helix or strand)",
        unit="nats",
        floor="ln 3 = 1.10 without information, 0.89 the frequencies of the three (fitted to the "
        "demo set itself)",
        target="well below that floor",
    )
    ports = (Port("secondary_logits", "B,L,c", width=3), TRUE_CA)


class ResidueAccuracyConfig(ComponentConfig):
    """How many hidden amino acids are found: it needs ``training.masked_residues``."""

    def needs(self) -> tuple[Port, ...]:
        """The ports of the loss ``masked_residues``."""
        return MaskedResiduesConfig.ports


class SecondaryAccuracyConfig(ComponentConfig):
    """How many residues have the right secondary structure."""

    def needs(self) -> tuple[Port, ...]:
        """The ports of the loss ``secondary``."""
        return SecondaryConfig.ports
