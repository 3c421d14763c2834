"""Settings of the invariant point attention denoiser."""

from __future__ import annotations

from pydantic import Field, model_validator

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port


class IPADenoiserConfig(ComponentConfig):
    """An IPA denoiser; the defaults are those of v12 and v13 (28.5 M parameters).

    Attributes:
        layers: number of blocks of attention, transition and frame update.
        heads: attention heads.
        head_dim: width of a head's scalar queries, keys and values.
        query_points: points per head that queries and keys compare.
        value_points: points per head that attention carries.
        d_model: width of the residue features inside the denoiser.
        d_ffn: hidden width of the transition.
        d_frame: hidden width of the two-layer frame update; 0 for one layer, as up to v11b.
        d_time: width of the embedding of the noise level.
        snr_low: at this signal-to-noise ratio and below, frames start as the identity.
        snr_high: from this ratio on, frames start as those of the noised trace.
    """

    layers: int = Field(8, ge=1)
    heads: int = Field(8, ge=1)
    head_dim: int = Field(64, ge=1)
    query_points: int = Field(8, ge=1)
    value_points: int = Field(8, ge=1)
    d_model: int = Field(512, ge=1)
    d_ffn: int = Field(1024, ge=1)
    d_frame: int = Field(512, ge=0)
    d_time: int = Field(416, ge=2, multiple_of=2)
    snr_low: float = Field(0.2, ge=0)
    snr_high: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _gate_opens(self) -> IPADenoiserConfig:
        if self.snr_low >= self.snr_high:
            raise ValueError("snr_low must be below snr_high")
        return self

    def needs(self) -> tuple[Port, ...]:
        """Trunk features, the noised state, its noise level and perhaps a previous prediction."""
        return (
            Port("single", "B,L,d"),
            Port("pair", "B,L,L,p"),
            Port("mask", "B,L"),
            Port("coords_t", "B,L,3", width=3),
            Port("t", "B"),
            Port("snr", "B"),
            Port("coords_prev", "B,L,3", width=3, optional=True),
        )

    def gives(self) -> tuple[Port, ...]:
        """The structure without noise: positions and frames."""
        return (Port("coords", "B,L,3", width=3), Port("rotations", "B,L,3,3", width=3))
