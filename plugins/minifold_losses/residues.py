"""What each residue is: hidden amino acids and secondary structure, as losses and as figures."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import cross_entropy

from minifold_core.batch import Truth
from minifold_core.evaluation.secondary import COIL, UNKNOWN, secondary_structure
from minifold_core.interfaces import Metric
from minifold_core.residues import AMINO_ACIDS, FIRST_AMINO_ACID, MASK
from minifold_losses.base import FullPrecisionLoss, masked_mean
from minifold_losses.config import MaskedResiduesConfig, SecondaryConfig

MOST_FREQUENT_RESIDUE = AMINO_ACIDS.index("L")
MOST_FREQUENT_ELEMENT = COIL
"""What a predictor says of every residue that knows nothing but how frequent the classes are."""


def hidden_residues(tokens: Tensor, truth: Truth) -> Tensor:
    """[B, L] number of the native amino acid where ``tokens`` [B, L] hide it, else -1."""
    known = tokens.eq(MASK) & truth.tokens.ge(FIRST_AMINO_ACID)
    return (truth.tokens - FIRST_AMINO_ACID).masked_fill(~known, UNKNOWN)


def elements(truth: Truth) -> Tensor:
    """[B, L] coil 0, helix 1 or strand 2 of the native Cα trace, -1 where the Cα is unknown."""
    ca = truth.ca * truth.scale[:, None, None]
    return secondary_structure(ca, truth.mask, truth.residue_index)


class MaskedResiduesLoss(FullPrecisionLoss):
    """Cross-entropy of the amino acids where the model saw MASK (Devlin et al. 2019)."""

    config: MaskedResiduesConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``residue_logits`` [B, L, 20] and the ``tokens`` [B, L] that the model saw."""
        labels = hidden_residues(prediction["tokens"], truth)
        return _cross_entropy(prediction["residue_logits"], labels)


class SecondaryLoss(FullPrecisionLoss):
    """Cross-entropy of helix, strand or neither in the native Cα trace."""

    config: SecondaryConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``secondary_logits`` [B, L, 3]."""
        return _cross_entropy(prediction["secondary_logits"], elements(truth))


class ResidueAccuracy(Metric):
    """How many hidden amino acids are the most probable ones."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """``residue_accuracy``, and as its floor the share of leucine; NaN if none is hidden."""
        labels = hidden_residues(prediction["tokens"], truth)
        logits = prediction["residue_logits"]
        return _accuracy("residue_accuracy", logits, labels, MOST_FREQUENT_RESIDUE)


class SecondaryAccuracy(Metric):
    """How many residues have the right one of three elements (Q3)."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """``secondary_accuracy``, and as its floor the share of coil; NaN without a Cα."""
        logits = prediction["secondary_logits"]
        return _accuracy("secondary_accuracy", logits, elements(truth), MOST_FREQUENT_ELEMENT)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """[B] mean over the residues that have a label."""
    entropy = cross_entropy(logits.mT, labels, reduction="none", ignore_index=UNKNOWN)
    return masked_mean(entropy, labels.ne(UNKNOWN))


def _accuracy(name: str, logits: Tensor, labels: Tensor, usual: int) -> dict[str, Tensor]:
    """The share of right answers, and of those that are always ``usual``; [B] each."""
    known = labels.ne(UNKNOWN)
    count = known.sum(1).double()
    right = {name: logits.argmax(-1).eq(labels), f"floor_{name}": labels.eq(usual)}
    return {name: (hits & known).sum(1) / count for name, hits in right.items()}
