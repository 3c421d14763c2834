"""Settings of the equivariant graph network denoiser."""

from __future__ import annotations

from pydantic import Field

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port


class EGNNDenoiserConfig(ComponentConfig):
    """An EGNN denoiser; the defaults are those of v10 (12.5 M parameters).

    Attributes:
        layers: number of rounds of messages.
        d_model: width of the residue features inside the denoiser.
        d_edge: width of the messages between residues; time and memory grow with it.
        d_ffn: hidden width of the update of the residue features.
        d_time: width of the embedding of the noise level.
        distance_scale: a distance d in model units is seen as ``log(1 + (d / scale)²)``.
    """

    layers: int = Field(8, ge=1)
    d_model: int = Field(512, ge=1)
    d_edge: int = Field(256, ge=1)
    d_ffn: int = Field(896, ge=1)
    d_time: int = Field(224, ge=2, multiple_of=2)
    distance_scale: float = Field(0.25, gt=0)

    def needs(self) -> tuple[Port, ...]:
        """Trunk features, the noised state, its noise level and perhaps a previous prediction."""
        return (
            Port("single", "B,L,d"),
            Port("pair", "B,L,L,p"),
            Port("mask", "B,L"),
            Port("coords_t", "B,L,3", width=3),
            Port("t", "B"),
            Port("coords_prev", "B,L,3", width=3, optional=True),
        )

    def gives(self) -> tuple[Port, ...]:
        """The structure without noise: positions alone, as the network knows no directions."""
        return (Port("coords", "B,L,3", width=3),)
