"""What a finding depends on beside the gate itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

import tomli_w
import torch

from minifold_core.data.records import Chain
from minifold_core.recipe import Recipe
from minifold_core.version import __version__
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.initial import first_weights

DIGITS = 16


def inputs_of(recipe: Recipe, chains: Iterable[Chain], device: torch.device) -> dict[str, str]:
    """Digests of recipe, data, code and the weights that slots begin with, and the kind of device.

    Args:
        recipe: of the version.
        chains: all that the gates and their floors know.
        device: where networks run.
    """
    data = hashlib.sha256()
    for chain in chains:
        data.update(f"{chain.name} {chain.sequence} {_coordinates(chain)} ".encode())
    tables = tomli_w.dumps(recipe.to_tables()).encode()
    begins = {path: file_sha256(file) for path, file in first_weights(recipe).items()}
    return {
        "recipe": hashlib.sha256(tables).hexdigest()[:DIGITS],
        "data": data.hexdigest()[:DIGITS],
        "code": _code(recipe),
        "weights": hashlib.sha256(repr(sorted(begins.items())).encode()).hexdigest()[:DIGITS],
        "device": device.type,
    }


def _coordinates(chain: Chain) -> int:
    """A checksum."""
    return crc32(chain.backbone.tobytes())


def _code(recipe: Recipe) -> str:
    """A digest of PyTorch's version and of the sources of minifold and the recipe's components."""
    specs = [slot.spec for slot in (recipe.parts | recipe.metrics).values()]
    specs += [term.spec for term in recipe.losses.values()]
    packages = {spec.implementation.partition(".")[0].partition(":")[0] for spec in specs}
    total = hashlib.sha256(f"{__version__} {torch.__version__}".encode())
    for package in sorted(packages | {"minifold_core"}):
        for source in _sources(package):
            total.update(source.name.encode() + source.read_bytes())
    return total.hexdigest()[:DIGITS]


def _sources(package: str) -> list[Path]:
    """The Python files of an installed package or module."""
    spec = find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return sorted(p for root in spec.submodule_search_locations for p in Path(root).rglob("*.py"))
