"""Shared fixtures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
import torch

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.testing import command

torch.set_num_threads(1)
Result = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def minifold(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Run the command line in a process of its own, as a user does, in an empty directory."""
    home = tmp_path_factory.mktemp("user")

    def run(*arguments: object, **environment: str) -> Result:
        own = {"COLUMNS": "100", "OMP_NUM_THREADS": "1", "MINIFOLD_HOME": str(home / "home")}
        return command([str(a) for a in arguments], home, os.environ | own | environment)

    return run


@pytest.fixture(scope="session")
def demo() -> list[ProteinBatch]:
    """The built-in demo set, six chains a batch."""
    chains = sorted(open_dataset(), key=len)
    return [collate(chains[i : i + 6]) for i in range(0, len(chains), 6)]


@pytest.fixture
def batch(demo: list[ProteinBatch]) -> ProteinBatch:
    return demo[0]


@pytest.fixture
def truth(batch: ProteinBatch) -> Truth:
    return Truth.of(batch)
