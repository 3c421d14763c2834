"""Networks for the sampler whose answers are known, and two sequences to sample."""

from __future__ import annotations

import torch

from minifold_core.batch import ProteinBatch
from minifold_core.geometry.size import centred
from minifold_core.residues import MASK
from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.process import DDPM

PROCESS = DDPM(DDPMConfig())
BATCH = ProteinBatch.from_sequences(["ACDEFGHIKLMN", "PQRSTVWY"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Model:
    """Answers ``offset`` + ``native`` where residues are shown, ``offset`` alone where masked."""

    def __init__(self, native=0.0, offset=0.0, feedback=0.0):
        self.native, self.offset, self.feedback = native, offset, feedback
        self.trunks: list[ProteinBatch] = []
        self.calls: list[dict] = []

    def trunk(self, batch):
        self.trunks.append(batch)
        shown = (batch.tokens.ne(MASK) & batch.mask).float()[..., None]
        return {
            "single": shown * self.native,
            "offset": self.offset * torch.ones_like(shown),
            "pair": shown[:, :, None] * shown[:, None, :],
        }

    def scale(self, trunk):
        return torch.full((len(trunk["single"]),), 10.0)

    def read_out(self, trunk, prediction, mask, scale):
        self.read = (trunk, prediction, mask)
        return {"backbone": prediction["coords"][:, :, None].expand(-1, -1, 4, -1)}

    def denoise(self, trunk, coords_t, t, snr, mask, coords_prev):
        self.calls.append({"t": t, "snr": snr, "coords_t": coords_t, "prev": coords_prev})
        assert len(trunk["pair"]) == len(coords_t) == len(t) == len(snr) == len(mask)
        coords = trunk["single"] + trunk["offset"]
        if coords_prev is not None:
            coords = coords + self.feedback * coords_prev
        turn = torch.eye(3).expand(*mask.shape, 3, 3) * trunk["single"][:, :1, :1, None]
        return {"coords": coords, "rotations": turn}


class DriftModel(Model):
    """A prediction that depends on the state, so that samples differ."""

    def denoise(self, trunk, coords_t, t, snr, mask, coords_prev):
        return {"coords": 0.5 * coords_t}


def native(seed=5):
    return centred(torch.randn(*BATCH.tokens.shape, 3, generator=generator(seed)), BATCH.mask)
