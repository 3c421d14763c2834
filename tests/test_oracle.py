"""With the network replaced by the truth, sampling returns the native structure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.diffusion.sampler import sample
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.interfaces import Features
from process_cases import PROCESSES


class Oracle:
    """A model that knows every native structure."""

    def trunk(self, batch: ProteinBatch) -> Features:
        return {"truth": Truth.of(batch).ca}

    def denoise(self, trunk: Features, coords_t: Tensor, *rest: object) -> Features:
        return {"coords": trunk["truth"]}

    def scale(self, trunk: Features) -> Tensor:
        return torch.full((len(trunk["truth"]),), 10.0)

    def read_out(self, *features: object) -> Features:
        return {}


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("name", PROCESSES)
def test_sampling_returns_the_native_structures(
    name: str, eta: float, demo_batch: ProteinBatch
) -> None:
    generators = [torch.Generator().manual_seed(i) for i in range(len(demo_batch))]
    made = sample(Oracle(), PROCESSES[name], demo_batch, generators=generators, eta=eta)
    scores = compare_structures(made.coords, demo_batch.ca, demo_batch.ca_mask)
    assert scores["tm"].min() > 0.9999
    assert scores["lddt"].min() > 0.9999
    assert scores["rmsd"].max() < 1e-3
