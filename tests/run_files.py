"""Run directories as training writes them, without training."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from safetensors.numpy import save_file

from minifold_core.recipe import load_recipe

TERMS = ("fape", "dist_mse", "bond", "chirality")
BINS = ("t0-250", "t250-500", "t500-750", "t750-1000")
SLOTS = ("pair_stack", "denoiser", "heads.rg")
FLOORS = ("one point", "coil of the right size", "another real chain")
SCORES = ("tm", "rmsd", "gdt_ts", "lddt")


def rows(epochs: int, best: int) -> list[dict[str, float]]:
    """Made-up epochs of a version with frames; every number is different."""
    made = []
    for epoch in range(1, epochs + 1):
        row: dict[str, float] = {"epoch": epoch, "step": 40 * epoch}
        for number, term in enumerate(TERMS, 1):
            row[f"train/{term}"] = number + 1 / epoch
            row[f"val/{term}"] = number + 1.5 / epoch
            for level, name in enumerate(BINS, 1):
                row[f"val/{term}@{name}"] = level * (number + 0.5 / epoch)
        for part, shift in (("train", 0.0), ("val", 0.25)):
            total = 3 + abs(epoch - best) / 8 + shift
            row |= {f"{part}/total": total - 1 / (epoch + 1), f"{part}/total_fixed": total}
        for number, slot in enumerate(SLOTS, 1):
            row[f"lr/{slot}"] = number * 1e-4 / epoch
            row[f"grad_norm/{slot}"] = number * math.exp(-epoch / 9)
            row[f"update/{slot}"] = number * 1e-3 / epoch
        row |= {"skipped": 0.25 if epoch == 2 else 0.0, "seconds": 60.0 + epoch}
        if epoch % 5 == 0:
            row |= {f"sampled/{s}": (n + 1) / 10 + epoch / 1000 for n, s in enumerate(SCORES)}
            for number, floor in enumerate(FLOORS, 2):
                row |= {f"floor/{floor}/{s}": number / 20 + n for n, s in enumerate(SCORES)}
        made.append(row)
    return made


def write_run(
    directory: Path,
    version: str = "v13",
    epochs: Sequence[Mapping[str, float]] = (),
    components: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    started: str = "2026-01-02T03:04:05+00:00",
) -> Path:
    """A nano run with these epochs, and no state."""
    directory.mkdir(parents=True)
    recipe = load_recipe(version, "nano", components, values)
    (directory / "recipe.toml").write_text(tomli_w.dumps(recipe.to_tables()))
    surroundings = {"schema": 1, "data": "demo", "seed": 0, "device": "cpu", "precision": "fp32"}
    (directory / "environment.json").write_text(json.dumps(surroundings | {"started": started}))
    if epochs:
        columns = list(dict.fromkeys(name for row in epochs for name in row))
        with (directory / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(epochs)
        steps = range(1, int(epochs[-1]["step"]) + 1)
        (directory / "steps.jsonl").write_text("".join(f'{{"step": {n}}}\n' for n in steps))
    return directory


def write_state(
    directory: Path,
    step: int,
    epoch: int = 1,
    best_epoch: int = 0,
    schema: int = 1,
    **options: int,
) -> None:
    """A state whose header is that of a real one; it has no tensors to go on from."""
    progress = {"step": step, "epoch": epoch, "best_epoch": best_epoch}
    body = {"schema": schema, "progress": progress, "about": {"options": options}}
    metadata = {"minifold_state": json.dumps(body)}
    save_file({"x": np.zeros(3)}, directory / "state.safetensors", metadata)
