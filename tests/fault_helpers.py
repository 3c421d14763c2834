"""Very small trainings to break: four short chains, two epochs of two steps."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minifold_core.assembly import assemble
from minifold_core.data.dataset import PackedDataset, open_dataset
from minifold_core.data.packwriter import write_pack
from minifold_core.recipe import load_recipe
from minifold_core.training.options import Options
from minifold_core.training.parallel import Group
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.header import read_header
from training_helpers import CPU

FULL_DISK = OSError(28, "No space left on device")
SMALL = {"denoiser.layers": 1, "training.batch_size": 2}


def pack_short_chains(path: Path, copies: int = 1) -> Path:
    """The four shortest training chains of the demo set, and its shortest validation chain."""
    by_length = sorted(open_dataset(), key=len)
    train = [chain for chain in by_length if chain.split == "train"][:4]
    several = [replace(c, name=f"{c.name}-{k}") for k in range(copies) for c in train]
    write_pack(path, [*several, next(c for c in by_length if c.split == "validation")], [], {})
    return path


def tiny(
    data: Path, steps: int = 4, workers: int = 0, group: Group | None = None, **values: object
) -> Trainer:
    """A training of v12b on such a pack; ``values`` are recipe keys with ``__`` for dots."""
    torch.manual_seed(0)
    named = SMALL | {key.replace("__", "."): value for key, value in values.items()}
    model, chains = assemble(load_recipe("v12b", "nano", values=named)), PackedDataset.open(data)
    options = Options(
        CPU,
        max_steps=steps,
        workers=workers,
        data=str(data),
        data_path=str(data),
        data_digest=file_sha256(data),
    )
    return Trainer(model, chains.subset("train"), chains.subset("validation"), options, group)


def begin(made: Trainer, directory: Path) -> Run:
    """A new run, with its state before the first step."""
    run = Run.create(directory, made.model.recipe, {})
    made.start(run)
    return run


def go_on(run: Run, data: Path) -> None:
    """Resume a run in this process, to four steps."""
    made = tiny(data)
    made.resume(run)
    made.fit(run)


def fill_disk(patch: pytest.MonkeyPatch, full: Callable[[int, str], bool]) -> list[str]:
    """Let the disk be full for the files that ``full`` says, by their number (from 0) and name.

    Returns:
        The names of all files in the order of their writing, filled as they are written.
    """
    written: list[str] = []
    real = Path.replace

    def finish(self: Path, target: Path) -> Path:
        written.append(Path(target).name)
        if full(len(written) - 1, written[-1]):
            raise FULL_DISK
        return real(self, target)

    patch.setattr(Path, "replace", finish)
    return written


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, averages, optimizer and scores, bit for bit."""
    for name in ("state", "last", "best"):
        assert_same_tensors(*(run / f"{name}.safetensors" for run in (one, other)))
    for name in ("last", "best"):
        a, b = (read_header(run / f"{name}.safetensors") for run in (one, other))
        assert (a.step, a.epoch) == (b.step, b.epoch), name
    assert epochs(one) == epochs(other)


def assert_same_tensors(one: Path, other: Path) -> None:
    a, b = load_file(one), load_file(other)
    assert a.keys() == b.keys()
    differ = [key for key in a if not torch.equal(a[key], b[key])]
    assert not differ, f"{one.name}: {len(differ)} of {len(a)}, first {differ[0]}"


def epochs(run: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, without the time they took."""
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: v for name, v in row.items() if name != "seconds"} for row in rows]


def logged_steps(run: Path) -> list[int]:
    """The steps of ``steps.jsonl``."""
    lines = (run / "steps.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def halfway(data: Path, directory: Path) -> Run:
    """A run that was asked for two steps and has them: a whole epoch."""
    made = tiny(data, steps=2)
    run = begin(made, directory)
    made.fit(run)
    return run


def at_step(number: int, made: Trainer, act: Callable[[], object]) -> Callable[..., None]:
    """Something to be done when a training has taken so many steps."""

    def on_step(steps: int, words: str = "") -> None:
        if made.progress.step == number:
            act()

    return on_step
