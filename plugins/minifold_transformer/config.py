"""Settings of the transformer denoiser; no torch here."""

from __future__ import annotations

from pydantic import Field, model_validator

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port
from minifold_core.units import SIGMA_DATA


class TransformerDenoiserConfig(ComponentConfig):
    """A plain transformer on residues, told the noise level by adaptive layer norms.

    Attributes:
        layers: number of blocks of attention and transition.
        heads: attention heads.
        d_model: width of the residue features inside the denoiser.
        ffn_multiplier: hidden width of the gated transition, in units of ``d_model``.
        d_time: width of the embedding of the noise level.
        reach: places along the chain, to either side, whose Cα a residue sees relative to its own.
        sigma_data: standard deviation of native coordinates along one axis, in ångström: it scales
            what the network reads and what it is asked for.
    """

    layers: int = Field(12, ge=1)
    heads: int = Field(8, ge=1)
    d_model: int = Field(384, ge=1)
    ffn_multiplier: int = Field(2, ge=1)
    d_time: int = Field(256, ge=2, multiple_of=2)
    reach: int = Field(4, ge=1)
    sigma_data: float = Field(SIGMA_DATA, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerDenoiserConfig:
        if self.d_model % self.heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of heads {self.heads}")
        return self

    def needs(self) -> tuple[Port, ...]:
        """Trunk features, the noised state, its noise level and perhaps a previous prediction."""
        return (
            Port("single", "B,L,d"),
            Port("pair", "B,L,L,p"),
            Port("mask", "B,L"),
            Port("residue_index", "B,L"),
            Port("coords_t", "B,L,3", width=3),
            Port("snr", "B"),
            Port("coords_prev", "B,L,3", width=3, optional=True),
        )

    def gives(self) -> tuple[Port, ...]:
        """The structure without noise: positions, and the frames of their trace."""
        return (Port("coords", "B,L,3", width=3), Port("rotations", "B,L,3,3", width=3))
