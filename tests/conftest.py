"""Shared fixtures."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from minifold_core import discovery
from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.home import HOME_VARIABLE
from minifold_core.testing import command

Result = subprocess.CompletedProcess[str]

torch.set_num_threads(1)


BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Limits for machines that are slower than the suite was made for."""
    for name, text in (
        ("--none-after", "Skip tests that would begin later."),
        ("--slow-until", "Skip slow tests that would take longer."),
    ):
        parser.addoption(name, type=float, default=math.inf, metavar="SECONDS", help=text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests come first: where time runs out, it is slow ones that are left out.

    Of these the longest come first, which the other workers need not wait for then.
    """

    def place(item: pytest.Item) -> tuple[bool, float]:
        slow = item.get_closest_marker("slow")
        return slow is not None, -_seconds(slow) if slow else 0.0

    items.sort(key=place)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin nothing when the time is up; the summary counts what was left out."""
    passed = time.monotonic() - BEGAN
    late = passed > item.config.getoption("--none-after")
    if slow := item.get_closest_marker("slow"):
        late |= passed + _seconds(slow) > item.config.getoption("--slow-until")
    if late:
        pytest.skip("no time was left")


def _seconds(slow: pytest.Mark) -> float:
    return float(slow.kwargs.get("seconds", 10))


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home, so that no test sees or changes the weights that a user has named."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module", autouse=True)
def _arithmetic() -> Iterator[None]:
    """Commands choose the arithmetic of float32 products; one that shares a test's process must not
    choose it for others."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="session")
def minifold(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Run the command line in a process of its own, as a user does, in an empty directory."""
    home = tmp_path_factory.mktemp("user")

    def run(*arguments: object, cwd: Path = home, **environment: str) -> Result:
        asked = [str(argument) for argument in arguments]
        variables = os.environ | {"COLUMNS": "100", "OMP_NUM_THREADS": "1"} | environment
        if "PYTHONPATH" not in environment:  # which counts at the start of an interpreter alone
            return command(asked, cwd, variables)
        return subprocess.run(
            [sys.executable, "-m", "minifold_core.cli.main", *asked],
            cwd=cwd,
            env=variables,
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
