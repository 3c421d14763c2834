"""Shared fixtures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from minifold_core import discovery
from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.home import HOME_VARIABLE

Result = subprocess.CompletedProcess[str]

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home, so that no test sees or changes the weights that a user has named."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def minifold(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Run the command line in a process of its own, as a user does, in an empty directory."""
    home = tmp_path_factory.mktemp("user")

    def run(*arguments: object, cwd: Path = home, **environment: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "minifold_core.cli.main", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"COLUMNS": "100", "OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def demo_batch() -> ProteinBatch:
    """Two real chains of different lengths."""
    chains = sorted(open_dataset(), key=lambda chain: len(chain.sequence))
    return collate([chains[5], chains[8]])


@pytest.fixture
def fresh_discovery() -> None:
    """Let a test change the installed entry points; forget them afterwards."""
    discovery.refresh()
    yield
    discovery.refresh()
