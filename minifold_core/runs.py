"""Reading what training left in a run directory, as far as it can be read; imports no torch."""

from __future__ import annotations

import csv
import json
import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minifold_core.errors import MinifoldError, RequestError
from minifold_core.recipe_tree import Meta
from minifold_core.weights.layout import read_layout

RECIPE, ENVIRONMENT, METRICS = "recipe.toml", "environment.json", "metrics.csv"
STEPS, STATE, MIGRATION = "steps.jsonl", "state.safetensors", "migration.json"
WEIGHTS = ("best.safetensors", "last.safetensors")
STATE_KEY, STATE_SCHEMA = "minifold_state", 1
"""Where the header of a state file says how far the training is, and in which form."""
TAIL = 1 << 16
"""Bytes at the end of a step log in which its last line is looked for."""

Row = dict[str, float]
Standing = Literal["finished", "resumable", "no state", "damaged"]


@dataclass(frozen=True)
class RunRecord:
    """What a run directory says of itself; whatever could not be read is empty and a problem.

    Attributes:
        directory: the run.
        tables: its resolved recipe.
        meta: what the recipe says of its version, size and lineage.
        environment: machine, command, data, device, seed.
        rows: ``metrics.csv``, a row of numbers per epoch, without what is empty there.
        step: optimizer steps in the log.
        progress: where the saved state stands: ``step``, ``epoch``, ``best_epoch``, ...
        options: how long and where the state's training was asked to go.
        migration: the report of what the first weights were made of.
        problems: what is wrong, a sentence each that begins with the file.
    """

    directory: Path
    tables: dict[str, Any]
    meta: Meta
    environment: dict[str, Any]
    rows: list[Row]
    step: int
    progress: dict[str, Any]
    options: dict[str, Any]
    migration: dict[str, Any]
    problems: tuple[str, ...]

    @property
    def epoch(self) -> int:
        """The last epoch that has a row in ``metrics.csv``."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0

    @property
    def epochs(self) -> int | None:
        """Epochs that the recipe, or the user, asked for."""
        limits = (
            _integer(self.section("training"), "epochs"),
            _integer(self.options, "max_epochs"),
        )
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def scores(self) -> dict[int, float]:
        """Epoch to the total that chooses the best one: of validation, else of training."""
        return self.series("val/total_fixed") or self.series("train/total_fixed")

    @property
    def best(self) -> tuple[int, float] | None:
        """The epoch with the lowest score, and the score."""
        return min(self.scores.items(), key=lambda pair: (pair[1], pair[0]), default=None)

    @property
    def last(self) -> float | None:
        """The latest score; an epoch in which training was stopped may have none."""
        return self.scores[max(self.scores)] if self.scores else None

    @property
    def standing(self) -> Standing:
        """Whether it can go on: ``damaged`` is a state that cannot be read."""
        if not self.progress and (self.directory / STATE).exists():
            return "damaged"
        if self._finished():
            return "finished"
        return "resumable" if self.progress else "no state"

    @property
    def weights(self) -> list[str]:
        """The names of the weights files: best and last first, then those of kept epochs."""
        names = {path.name for path in self.directory.glob("*.safetensors")} - {STATE}
        return [n for n in WEIGHTS if n in names] + sorted(names - {*WEIGHTS})

    def series(self, column: str) -> dict[int, float]:
        """Epoch to value of a column of ``metrics.csv``, where it is a finite number."""
        return {
            int(row["epoch"]): row[column]
            for row in self.rows
            if math.isfinite(row.get(column, math.nan))
        }

    def said(self, key: str) -> str:
        """A value of ``environment.json`` as text; empty if it is not there."""
        value = self.environment.get(key)
        return str(value) if isinstance(value, str | int) else ""

    def section(self, name: str) -> Mapping[str, Any]:
        """A table of the recipe; empty if it is not there."""
        section = self.tables.get(name)
        return section if isinstance(section, Mapping) else {}

    def _finished(self) -> bool:
        # The state counts the epoch in progress, a run without state those that have ended.
        ended = self.progress["epoch"] - 1 if self.progress else self.epoch
        if self.epochs and ended >= self.epochs:
            return True
        most, patience = (
            _integer(self.options, "max_steps"),
            _integer(self.section("training"), "patience"),
        )
        best = self.progress.get("best_epoch", self.best[0] if self.best else 0)
        late = bool(patience) and ended - best >= (patience or 0)
        limit = self.options.get("max_seconds")
        spent = isinstance(limit, int | float) and self.progress.get("seconds", 0.0) >= limit
        return late or bool(spent) or (most is not None and self.progress["step"] >= most)


def is_run(directory: Path) -> bool:
    """Whether a directory is one that training wrote."""
    return (directory / RECIPE).is_file() and (directory / ENVIRONMENT).is_file()


def find_runs(directory: Path) -> list[Path]:
    """The run directories in a directory at any depth, itself included; none inside another.

    Raises:
        RequestError: there is no such directory.
    """
    if not directory.is_dir():
        raise RequestError(f"{directory} is no directory; name the one that holds your runs")
    found = []
    for place, inner, _ in os.walk(directory):
        if is_run(Path(place)):
            found.append(Path(place))
            inner.clear()
        inner[:] = sorted(name for name in inner if not name.startswith("."))
    return found


def read_run(directory: Path) -> RunRecord:
    """Read everything but tensors; what is damaged or missing becomes a problem, not an error.

    Raises:
        RequestError: nothing there looks like a run.
    """
    if not any((directory / name).is_file() for name in (RECIPE, ENVIRONMENT, METRICS, STATE)):
        what = "is no run directory" if directory.exists() else "does not exist"
        raise RequestError(f"{directory} {what}; minifold runs list DIR finds the runs in DIR")
    read = _Reader(directory)
    tables = read(RECIPE, _toml, None)
    nothing = Meta("", "", ())  # what cannot be read has been told
    state = read(STATE, _state, {"progress": {}, "options": {}}, required=False)
    return RunRecord(
        directory=directory,
        tables=tables or {},
        meta=nothing if tables is None else read(RECIPE, lambda p: _meta(tables, p), nothing),
        environment=read(ENVIRONMENT, _json, {}),
        rows=read(METRICS, lambda path: _rows(path, read.problems), [], required=False),
        step=read(STEPS, _last_step, 0, required=False) or state["progress"].get("step", 0),
        progress=state["progress"],
        options=state["options"],
        migration=read(MIGRATION, _json, {}, required=False),
        problems=tuple(dict.fromkeys(read.problems)),
    )


class _Reader:
    """Reads the files of a run and keeps what went wrong."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []

    def __call__(
        self, name: str, parse: Callable[[Path], Any], otherwise: Any, required: bool = True
    ) -> Any:
        path = self.directory / name
        if not path.exists():
            self.problems += [f"{name} is missing"] * required
            return otherwise
        try:
            return parse(path)
        except OSError as error:
            why = error.strerror
        except KeyError as error:
            why = f"it lacks {error}"
        except (ValueError, TypeError, RecursionError, csv.Error, MinifoldError) as error:
            why = str(error).splitlines()[0].removeprefix(str(path)).lstrip(": ")
        self.problems.append(f"{name} is damaged: {why}")
        return otherwise


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _meta(tables: dict[str, Any], path: Path) -> Meta:
    meta = Meta.of(tables, str(path))
    if meta is None:
        raise ValueError("it has no table [resolved]")
    return meta


def _json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError("it holds no table")
    return value


def _state(path: Path) -> dict[str, Any]:
    """Progress and options in the header of a state, whose tensors are not looked at."""
    body = json.loads(read_layout(path).metadata[STATE_KEY])
    if body["schema"] > STATE_SCHEMA:
        raise ValueError(f"its schema {body['schema']} is newer than this minifold")
    progress, options = body["progress"], body["about"]["options"]
    if not all(isinstance(progress[key], int) for key in ("step", "epoch", "best_epoch")):
        raise ValueError("its progress is no number")
    return {"progress": progress, "options": dict(options)}


def _rows(path: Path, problems: list[str]) -> list[Row]:
    """The rows that have an epoch; cells that hold no number are left out and told."""
    rows: dict[int, Row] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for cells in reader:
            row, where = {}, f"{path.name} line {reader.line_num}"
            for column, text in cells.items():
                try:
                    if text:
                        row[column] = float(text)
                except (ValueError, TypeError):
                    problems.append(f"{where}: {column or 'what follows'} is no number")
            if row.get("epoch", 0.5).is_integer():
                rows[int(row["epoch"])] = row
            else:
                problems.append(f"{where} has no epoch")
            if None in cells.values():
                problems.append(f"{where} is cut short")
    return [rows[epoch] for epoch in sorted(rows)]


def _last_step(path: Path) -> int:
    """The step of the last whole line; a line that a kill cut is as if it had not been written."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        whole = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return int(json.loads(whole)["step"]) if whole else 0


def _integer(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    return value if isinstance(value, int) else None
