"""A run: the directory that training writes."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any

import tomli_w
import torch

from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.recipe import Recipe
from minifold_core.results import finite
from minifold_core.runs import RECIPE
from minifold_core.version import __version__

UNFINISHED = (".*.[0-9]*.tmp", ".tmp??????")
"""Names of files that were being written when a process was killed: our own, and safetensors'."""


@dataclass(frozen=True)
class Run:
    """Paths and records of one training run.

    Attributes:
        directory: of the run.
        again: the command that goes on with it, if that is another than ``minifold resume``.
    """

    directory: Path
    again: str = ""

    @property
    def go_on(self) -> str:
        """The command that goes on with it after an interruption."""
        return self.again or f"minifold resume {quote(str(self.directory))}"

    @property
    def best(self) -> Path:
        """The EMA weights of the epoch with the lowest ``val/total_fixed``."""
        return self.directory / "best.safetensors"

    @property
    def best_before(self) -> Path:
        """What ``best`` was before an epoch that training ended in the middle of took its place."""
        return self.directory / "best-before.safetensors"

    @property
    def last(self) -> Path:
        """The EMA weights of the last step."""
        return self.directory / "last.safetensors"

    @property
    def state(self) -> Path:
        """Everything that training needs to go on exactly."""
        return self.directory / "state.safetensors"

    def epoch(self, version: str, number: int) -> Path:
        """The EMA weights of an epoch that is kept: ``v12b-e30.safetensors``."""
        return self.directory / f"{version}-e{number}.safetensors"

    @classmethod
    def create(
        cls, directory: str | Path | None, recipe: Recipe, environment: dict[str, Any]
    ) -> Run:
        """Make the directory and write ``recipe.toml`` and ``environment.json``.

        Of trainings that start together, each has a directory of its own.

        Args:
            directory: of the run; None: the first of :func:`default_directories` that is free.
            recipe: of the model.
            environment: what is recorded beside machine and command; JSON values.

        Raises:
            ProtectedError: the directory exists and is not empty.
            MinifoldError: it cannot be written.
        """
        if directory is None:
            directory = next(filter(_claim, default_directories(recipe)))
        elif not _claim(Path(directory)):
            raise _taken(Path(directory))
        directory = Path(directory)
        with atomic(directory / RECIPE) as path:
            path.write_text(tomli_w.dumps(recipe.to_tables()), encoding="utf-8")
        with atomic(directory / "environment.json") as path:
            path.write_text(json.dumps(_surroundings() | environment, indent=2) + "\n")
        return cls(directory)

    def write_migration(self, report: dict[str, Any]) -> None:
        """Write ``migration.json``: what the first weights were made of."""
        with atomic(self.directory / "migration.json") as path:
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    def add_epoch(self, row: dict[str, float]) -> None:
        """Add a row to ``metrics.csv``; a column that is new is empty in the rows before.

        Raises:
            MinifoldError: it cannot be written; the file is as it was.
        """
        shown = {k: str(v) if isinstance(v, int) else f"{v:.6g}" for k, v in row.items()}
        self._write_epochs([*self.epochs(), shown])

    def epochs(self) -> list[dict[str, str]]:
        """The rows of ``metrics.csv`` as they are printed there."""
        path = self.directory / "metrics.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _write_epochs(self, rows: list[dict[str, str]]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with (
            atomic(self.directory / "metrics.csv") as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def add_step(self, record: dict[str, Any]) -> None:
        """Append a line to ``steps.jsonl``.

        Raises:
            MinifoldError: it cannot be written.
        """
        path = self.directory / "steps.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite(record)) + "\n")
        except OSError as error:
            raise MinifoldError(f"{path} cannot be written: {error.strerror}") from None

    def keep_best(self) -> None:
        """Keep the best weights as :attr:`best_before`; :meth:`rewind` gives them back.

        Raises:
            MinifoldError: they cannot be moved.
        """
        if self.best.is_file():
            _move(self.best, self.best_before)

    def rewind(self, step: int, epoch: int) -> dict[int, float]:
        """Forget what was logged after ``step`` and from ``epoch`` on, which will come again.

        Best weights of the epoch that was left are forgotten too: those before come back.
        Halves of files that a kill left, and lines of ``steps.jsonl`` that a crash made
        unreadable, go too.

        Returns:
            Epoch to validation total (training total without validation) of the epochs that stay.

        Raises:
            RequestError: ``metrics.csv`` is damaged.
            MinifoldError: the records cannot be written.
        """
        table, log = self.directory / "metrics.csv", self.directory / "steps.jsonl"
        try:
            rows = [row for row in self.epochs() if int(row["epoch"]) < epoch]
            scores = {int(row["epoch"]): _score(row) for row in rows}
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise RequestError(f"{table} is damaged ({error}); mend it, or move it away") from None
        if rows:
            self._write_epochs(rows)
        else:
            table.unlink(missing_ok=True)
        if log.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            with atomic(log) as path:
                path.write_text("".join(line for line in lines if 0 < _step_of(line) <= step))
        if self.best_before.is_file():
            _move(self.best_before, self.best)
        for pattern in UNFINISHED:
            for left in self.directory.glob(pattern):
                left.unlink(missing_ok=True)
        return scores


def refuse_if_taken(directory: Path) -> None:
    """Protect what is in a directory.

    Raises:
        ProtectedError: it exists and is not an empty directory.
        MinifoldError: it cannot be looked into.
    """
    if _is_taken(directory):
        raise _taken(directory)


def _is_taken(directory: Path) -> bool:
    try:
        return directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
    except OSError as error:
        raise _unusable(directory, error) from None


def _claim(directory: Path) -> bool:
    """Make a directory, or take an empty one; False if it is another's already."""
    if _is_taken(directory):
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / RECIPE).touch(exist_ok=False)  # of several that try, one can make this file
    except FileExistsError:
        return False
    except OSError as error:
        raise _unusable(directory, error) from None
    return True


def _taken(directory: Path) -> ProtectedError:
    run = Run(directory)
    way = f", or go on with: {run.go_on}" if run.state.is_file() else ""
    return ProtectedError(
        f"run directory {directory} exists and is not empty; choose another --run-dir{way}"
    )


def _unusable(directory: Path, error: OSError) -> MinifoldError:
    return MinifoldError(
        f"run directory {directory} cannot be used: {error.strerror}; choose another --run-dir"
    )


def _move(path: Path, place: Path) -> None:
    try:
        path.replace(place)
    except OSError as error:
        raise MinifoldError(f"{path} cannot be moved to {place}: {error.strerror}") from None


def _score(row: dict[str, str]) -> float:
    return float(row.get("val/total_fixed") or row.get("train/total_fixed") or "inf")


def _step_of(line: str) -> int:
    """The step that a whole line of ``steps.jsonl`` tells of; 0 if it cannot be read."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else 0
    except (KeyError, TypeError, ValueError):
        return 0


def default_directories(recipe: Recipe) -> Iterator[Path]:
    """``runs/ID-SIZE-TIME`` and, for when that is taken, the same with a number from 2 on."""
    stem = Path("runs") / f"{recipe.id}-{recipe.size}-{datetime.now():%Y%m%d-%H%M%S}"
    yield stem
    yield from (stem.with_name(f"{stem.name}-{number}") for number in count(2))


def _surroundings() -> dict[str, Any]:
    return {
        "schema": 1,
        "minifold": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
