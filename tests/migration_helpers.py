"""Structures and plans for tests of migration."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from minifold_core.recipe import load_recipe
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.structure import Structure


def structure(version: str, size: str = "full", swaps: Any = None, **values: Any) -> Structure:
    changed = {key.replace("__", "."): value for key, value in values.items()}
    return Structure.of_recipe(load_recipe(version, size, swaps, changed))


def planned(source: str, target: str, size: str = "full", **options: Any) -> Plan:
    return plan_migration(structure(source, size), structure(target, size), **options)


def edited(source: Structure, edit: str) -> Structure:
    """A file's structure with one thing wrong."""
    tensors = dict(source.tensors)
    name = next(n for n in tensors if n.startswith("denoiser.blocks.1.") and n.endswith("weight"))
    if edit == "shape":
        tensors[name] = (*tensors[name][:-1], tensors[name][-1] + 1)
    elif edit == "extra":
        tensors["denoiser.blocks.1.gate.weight"] = (3,)
    elif edit == "missing":
        del tensors[name]
    elif edit == "slot renamed":
        tensors = {n.replace("denoiser.", "net.", 1): s for n, s in tensors.items()}
    elif edit == "module renamed":
        tensors = {
            re.sub(r"^(denoiser\.blocks)", r"denoiser.layers", n): s for n, s in tensors.items()
        }
    elif edit == "inner renamed":
        word = name.split(".")[3]
        renamed = {n: n.replace(f".{word}.", ".old.") for n in tensors if n.startswith("denoiser.")}
        tensors = {renamed.get(n, n): s for n, s in tensors.items()}
    else:
        tensors["stray.weight"] = (3,)
    return replace(source, tensors=tensors)
