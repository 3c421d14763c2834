"""Fixtures: a pack of short chains, and a training on it that nothing disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fault_helpers import begin, pack_short_chains, tiny
from minifold_core.cli.platform import use_fast_float32
from minifold_core.training import trainer as trainer_module


@pytest.fixture(scope="module", autouse=True)
def _as_commands_compute() -> None:
    """Commands share a process with tests here, and both have to come to the same bits."""
    use_fast_float32()


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "save_curves", lambda *paths: None)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_short_chains(tmp_path_factory.mktemp("data") / "chains.safetensors")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "save_curves", lambda *paths: None)
        made = tiny(data)
        run = begin(made, tmp_path_factory.mktemp("whole") / "run")
        made.fit(run)
    return run.directory
