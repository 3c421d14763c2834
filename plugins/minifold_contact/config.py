"""Config of the contact encoder; no torch here."""

from __future__ import annotations

from pydantic import Field, PositiveInt, model_validator

from minifold_core.components import ComponentConfig
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
