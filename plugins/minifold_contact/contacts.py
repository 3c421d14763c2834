"""The loss and the figures of merit of predicted contacts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from minifold_contact.config import ContactLossConfig, ContactMapConfig
from minifold_core.batch import Truth
from minifold_core.evaluation.contacts import contact_figures, native_contacts
from minifold_core.interfaces import Metric
from minifold_losses.base import FullPrecisionLoss, masked_mean

EPS = 1e-7
"""Least probability under the logarithm: the step of float32 below 1."""


class ContactLoss(FullPrecisionLoss):
    """Cross-entropy of contacts, half from pairs in contact and half from the others.

    ``-1/2 mean(log p | contact) - 1/2 mean(log(1 - p) | none)``: ln 2 without information.
    """

    config: ContactLossConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] nats, over pairs of known Cα at least ``min_separation`` apart along the chain."""
        contact, known, separation = native_contacts(truth)
        known = known & separation.ge(self.config.min_separation)
        p = prediction["contacts"]
        hit = masked_mean(-p.clamp(min=EPS).log(), known & contact)
        miss = masked_mean(-(1 - p).clamp(min=EPS).log(), known & ~contact)
        return (hit + miss) / 2


class ContactMap(Metric):
    """How well contacts are found, beside a predictor that knows separations alone."""

    config: ContactMapConfig

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """See :func:`minifold_core.evaluation.contacts.contact_figures`."""
        return contact_figures(prediction["contacts"], truth, self.config.min_separation)
