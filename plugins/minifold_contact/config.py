"""Configs of the contact encoder, its head, losses and metrics; no torch here."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt, model_validator

from minifold_core.cath import LEVELS, NAMES, Level
from minifold_core.components import ComponentConfig, LossFacts
from minifold_core.ports import Port


class ContactEncoderConfig(ComponentConfig):
    """The encoder of the stage 1 contact classifier.

    Attributes:
        d_model: width of the residue features.
        d_pair: width of the pair features from which contacts are read.
        tower_layers: transformer layers in each of the two towers.
        heads: attention heads.
        ffn_multiplier: hidden width of the towers' feed-forward layers, in units of ``d_model``.
        pair_ffn_multiplier: hidden width of the contact blocks' transition, in units of ``d_pair``.
        opm_hidden: width of the operands of the contact blocks' outer product mean.
        max_rel_pos: separations along the chain beyond this all look the same.
    """

    d_model: PositiveInt = 128
    d_pair: PositiveInt = 64
    tower_layers: int = Field(2, ge=1)
    heads: PositiveInt = 4
    ffn_multiplier: PositiveInt = 4
    pair_ffn_multiplier: PositiveInt = 4
    opm_hidden: PositiveInt = 48
    max_rel_pos: PositiveInt = 32

    @model_validator(mode="after")
    def _heads_divide(self) -> ContactEncoderConfig:
        if self.d_model % self.heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of heads {self.heads}")
        return self

    def needs(self) -> tuple[Port, ...]:
        """The sequence, and where along the chain its residues are."""
        return (Port("tokens", "B,L"), Port("mask", "B,L"), Port("residue_index", "B,L"))

    def gives(self) -> tuple[Port, ...]:
        """Residue features and contact probabilities."""
        return (Port("single", "B,L,d", width=self.d_model), Port("contacts", "B,L,L"))


class CathHeadConfig(ComponentConfig):
    """CATH class and architecture from attention-pooled residue features."""

    def needs(self) -> tuple[Port, ...]:
        """Residue features and which residues count."""
        return (Port("single", "B,L,d"), Port("mask", "B,L"))

    def gives(self) -> tuple[Port, ...]:
        """A logit for each class and each architecture."""
        return tuple(_logits(level) for level in LEVELS)


class CathLossConfig(ComponentConfig):
    """Cross-entropy of one level of CATH."""

    level: ClassVar[Level]

    def needs(self) -> tuple[Port, ...]:
        """Logits, and the labels of those chains that have them."""
        return (_logits(self.level), Port("truth.cath", "B,2"))


class CathClassConfig(CathLossConfig):
    """Cross-entropy of the CATH class."""

    level = "class"
    facts = LossFacts(
        formula="−ln p(class)",
        unit="nats; 0 without a label",
        floor="ln 4 = 1.386 without information",
        target="0.9 at two thirds right, as published",
    )


class CathArchitectureConfig(CathLossConfig):
    """Cross-entropy of the CATH architecture."""

    level = "architecture"
    facts = LossFacts(
        formula="−ln p(architecture)",
        unit="nats; 0 without a label",
        floor="ln 38 = 3.638 without information",
        target="2.4 at one third right, as published",
    )


class CathAccuracyConfig(ComponentConfig):
    """Accuracy of the CATH class and architecture."""

    def needs(self) -> tuple[Port, ...]:
        """All logits, and the labels of those chains that have them."""
        return (*(_logits(level) for level in LEVELS), Port("truth.cath", "B,2"))


class ContactMapConfig(ComponentConfig):
    """Contacts, judged.

    Attributes:
        min_separation: pairs nearer along the chain are left out: they always touch.
    """

    min_separation: int = Field(3, ge=1)

    def needs(self) -> tuple[Port, ...]:
        """Contact probabilities, and the native trace."""
        return (Port("contacts", "B,L,L"), Port("truth.ca", "B,L,3"))


class ContactLossConfig(ContactMapConfig):
    """Cross-entropy of contacts, both answers weighing the same."""

    facts = LossFacts(
        formula="−½ mean ln p (contacts) − ½ mean ln(1 − p) (other pairs)",
        unit="nats",
        floor="ln 2 = 0.693 without information",
        target="0.659, as published",
    )


def _logits(level: Level) -> Port:
    return Port(f"{level}_logits", "B,c", width=len(NAMES[level]))
