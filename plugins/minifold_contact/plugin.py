"""Entry point: the contact encoder, and what trains and judges it."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The parts of the stage 1 contact classifier."""
    return [
        ComponentSpec(
            kind="encoder",
            name="contact",
            config="minifold_contact.config:ContactEncoderConfig",
            implementation="minifold_contact.encoder:ContactEncoder",
            summary="two transformer towers and two contact blocks with outer product mean",
            sizes={"nano": {"d_model": 64, "d_pair": 32, "tower_layers": 1, "opm_hidden": 8}},
        ),
        ComponentSpec(
            kind="head",
            name="cath",
            config="minifold_contact.config:CathHeadConfig",
            implementation="minifold_contact.cath:CathHead",
            summary="CATH class and architecture from attention-pooled residue features",
        ),
        ComponentSpec(
            kind="loss",
            name="contact",
            config="minifold_contact.config:ContactLossConfig",
            implementation="minifold_contact.contacts:ContactLoss",
            summary="cross-entropy of contacts, both answers weighing the same",
        ),
        ComponentSpec(
            kind="loss",
            name="cath_class",
            config="minifold_contact.config:CathClassConfig",
            implementation="minifold_contact.cath:CathLoss",
            summary="cross-entropy of the CATH class",
        ),
        ComponentSpec(
            kind="loss",
            name="cath_architecture",
            config="minifold_contact.config:CathArchitectureConfig",
            implementation="minifold_contact.cath:CathLoss",
            summary="cross-entropy of the CATH architecture",
        ),
        ComponentSpec(
            kind="metric",
            name="contact_map",
            config="minifold_contact.config:ContactMapConfig",
            implementation="minifold_contact.contacts:ContactMap",
            summary="precision and recall of contacts beside a separation-only predictor",
        ),
        ComponentSpec(
            kind="metric",
            name="cath_accuracy",
            config="minifold_contact.config:CathAccuracyConfig",
            implementation="minifold_contact.cath:CathAccuracy",
            summary="accuracy of the CATH class and architecture",
        ),
    ]
