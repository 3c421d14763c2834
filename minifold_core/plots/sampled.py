"""A native chain and a sample of it, residue by residue: what pictures of structures show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.lddt import chain_lddt, residue_lddt
from minifold_core.evaluation.metrics import tm_score
from minifold_core.evaluation.secondary import secondary_structure
from minifold_core.evaluation.threads import one_thread
from minifold_core.evaluation.tm import best_superposition

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sampled:
    """The n residues of a native chain whose Cα is known, and the same of a sample.

    Attributes:
        chain: the native chain.
        place: [n] positions along the chain, from 0.
        truth: [n, 3] native Cα in ångström.
        sample: [n, 3] Cα of the sample in ångström, where they score its TM-score.
        error: [n] ångström from the one to the other.
        residue_lddt: [n] lDDT of each residue; NaN for one that has no other within 15 Å.
        elements: [n] native coil, helix or strand, as in :mod:`minifold_core.evaluation.secondary`.
        tm: TM-score.
        lddt: lDDT of the chain.
    """

    chain: Chain
    place: NDArray[np.int_]
    truth: Floats
    sample: Floats
    error: Floats
    residue_lddt: Floats
    elements: NDArray[np.int_]
    tm: float
    lddt: float

    @classmethod
    def of(cls, chain: Chain, sample: Tensor) -> Sampled:
        """Compare a sample, [L, 3] Cα in ångström, with its native chain.

        Raises:
            RequestError: the chain has no known Cα.
            MinifoldError: the sample has a coordinate that is not finite.
        """
        known = torch.from_numpy(chain.ca_mask)
        if not known.any():
            raise RequestError(f"{chain.name} has no known Cα to compare with")
        truth = torch.from_numpy(chain.ca)[known].double()[None]
        placed = sample.detach().cpu()[known].double()[None]
        place = torch.from_numpy(chain.residue_index)[known].long()
        tm = tm_score(placed, truth)
        with one_thread():
            moved = best_superposition(placed, truth).apply(placed)
            elements = secondary_structure(truth, known[None, known], place[None])
            return cls(
                chain=chain,
                place=place.numpy(),
                truth=truth[0].numpy(),
                sample=moved[0].numpy(),
                error=torch.linalg.vector_norm(moved - truth, dim=-1)[0].numpy(),
                residue_lddt=residue_lddt(placed, truth)[0].numpy(),
                elements=elements[0].numpy(),
                tm=float(tm),
                lddt=float(chain_lddt(placed, truth)),
            )

    def __len__(self) -> int:
        return len(self.place)

    @property
    def scores(self) -> str:
        """TM-score and lDDT in words."""
        return f"TM {self.tm:.2f}, lDDT {self.lddt:.2f}"

    def along_chain(self, values: Floats) -> Floats:
        """Values [n] or [n, n] at the places of their residues, NaN at those without a Cα."""
        grid = np.full((int(self.place[-1]) + 1,) * values.ndim, np.nan)
        grid[np.ix_(*(self.place,) * values.ndim)] = values
        return grid
