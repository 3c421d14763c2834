"""Configs of the pair stacks; no torch here."""

from __future__ import annotations

from pydantic import Field, PositiveInt, model_validator

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port


class PairStackConfig(ComponentConfig):
    """What both pair stacks have in common.

    Attributes:
        d_pair: width of the pair features.
        blocks: number of blocks.
        heads: attention heads of each axial attention.
        head_dim: width of one head.
        ffn_multiplier: hidden width of the transition, in units of ``d_pair``.
        opm_hidden: width of the two operands of the outer product mean.
    """

    d_pair: PositiveInt = 128
    blocks: int = Field(4, ge=0)
    heads: PositiveInt = 4
    head_dim: PositiveInt = 32
    ffn_multiplier: PositiveInt = 4
    opm_hidden: PositiveInt = 32

    def needs(self) -> tuple[Port, ...]:
        """Features of residues, and contacts where the encoder predicts them."""
        return (
            Port("single", "B,L,d"),
            Port("contacts", "B,L,L", optional=True),
            Port("mask", "B,L"),
            Port("residue_index", "B,L"),
        )

    def gives(self) -> tuple[Port, ...]:
        """Features of residue pairs."""
        return (Port("pair", "B,L,L,p", width=self.d_pair),)


class AxialPairStackConfig(PairStackConfig):
    """The pair stack up to v12b, and the small auxiliary one.

    Attributes:
        max_rel_pos: separations along the chain beyond this all look the same.
    """

    ffn_multiplier: PositiveInt = 2
    opm_hidden: PositiveInt = 16
    max_rel_pos: PositiveInt = 32


class TrianglePairStackConfig(PairStackConfig):
    """The pair stack from v13 on.

    Attributes:
        tri_mul_dim: hidden width of the triangle multiplicative updates.
        rpe_bins: bins of absolute separation; each direction has its own embeddings.
        rpe_linear: separations up to this have a bin each, larger ones are log-spaced.
        max_separation: separations beyond this all look the same.
        sinusoidal: number of continuous separation features, half sines and half cosines.
    """

    blocks: int = Field(8, ge=0)
    opm_hidden: PositiveInt = 128
    tri_mul_dim: PositiveInt = 64
    rpe_bins: PositiveInt = 128
    rpe_linear: PositiveInt = 8
    max_separation: PositiveInt = 512
    sinusoidal: int = Field(32, ge=2, multiple_of=2)

    @model_validator(mode="after")
    def _bins_fit(self) -> TrianglePairStackConfig:
        if not self.rpe_linear < self.max_separation:
            raise ValueError("rpe_linear must be smaller than max_separation")
        if not self.rpe_linear + 2 <= self.rpe_bins:
            raise ValueError("rpe_bins must be at least rpe_linear + 2")
        return self
