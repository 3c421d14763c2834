"""Weights to be given names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from minifold_core.home import HOME_VARIABLE
from weights_files import perturbed, save


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of two versions; do not change them."""
    root = tmp_path_factory.mktemp("stock")
    return {v: save(root / f"{v}.safetensors", perturbed(v)) for v in ("v12b", "v13")}


@pytest.fixture
def b30(stock: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of v12b to change at will, and a home of its own."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Path(shutil.copy(stock["v12b"], tmp_path / "b30.safetensors"))
