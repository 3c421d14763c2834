"""Weights that come with an installed version; no torch here."""

from __future__ import annotations

from pathlib import Path

from minifold_core.discovery import VersionPackage


def shipped_weights(package: VersionPackage) -> dict[str, Path]:
    """Size of the model to the file ``weights/SIZE.safetensors`` beside the version's recipe."""
    return {path.stem: path for path in sorted(package.directory.glob("weights/*.safetensors"))}


def place_of(package: VersionPackage, size: str) -> Path:
    """Where weights of a size ship, whether they are there or not."""
    return package.directory / "weights" / f"{size}.safetensors"
