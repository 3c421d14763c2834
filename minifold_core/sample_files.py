"""The files of a sampling: names that do not clash, and a table of what has been written."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.errors import MinifoldError, ProtectedError, RequestError

if TYPE_CHECKING:
    from minifold_core.folding import Fold, Target
    from minifold_core.recipe_schema import SamplingConfig

TABLE = "samples.csv"
TRAJECTORY = (".xt", ".x0")
"""What stands between the name and the suffix of a trajectory's two files."""
COLUMNS = (
    "name",
    "copy",
    "length",
    "file",
    "seed",
    "steps",
    "eta",
    "guidance",
    "temperature",
    "weights",
    "rg",
    "seconds",
)
"""``file`` lies beside the table, ``weights`` is a SHA-256, ``rg`` the radius of gyration in
ångström, ``seconds`` the sample's share of its batch's time."""


def structure_paths(
    out: Path, targets: Iterable[Target], count: int, suffix: str, trajectory: bool
) -> dict[tuple[str, int], Path]:
    """Where each target's copies go, by name and copy number.

    Raises:
        RequestError: two samples would share a file.
        ProtectedError: one of the files exists.
    """
    paths = {
        (target.name, copy): out / f"{target.stem}{f'-{copy}' if count > 1 else ''}.{suffix}"
        for target in targets
        for copy in range(1, count + 1)
    }
    files = list(paths.values())
    if trajectory:
        files += [file for path in paths.values() for file in trajectory_paths(path)]
    doubled = len(files) - len(set(files))
    if doubled:
        raise RequestError(
            f"{doubled} sequences would share a file name; give each a name of its own"
        )
    there = [path for path in files if path.exists()]
    if there:
        raise ProtectedError(f"{there[0]} exists ({len(there)} such files); choose another --out")
    return paths


def trajectory_paths(structure: Path) -> tuple[Path, Path]:
    """``NAME.xt.pdb`` for the noised states and ``NAME.x0.pdb`` for the predictions."""
    stem, suffix = structure.stem, structure.suffix
    states, predictions = (structure.with_name(f"{stem}{kind}{suffix}") for kind in TRAJECTORY)
    return states, predictions


def is_trajectory(path: Path) -> bool:
    """Whether a file is called as those of :func:`trajectory_paths` are."""
    return Path(path.stem).suffix in TRAJECTORY


@dataclass(frozen=True)
class SampleTable:
    """``samples.csv``: a row for every structure that is on disk, appended when it is there.

    Attributes:
        directory: of the structures.
        seed: of the noise.
        settings: of the sampler.
        weights: SHA-256 of the weights file.
    """

    directory: Path
    seed: int
    settings: SamplingConfig
    weights: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / TABLE

    def start(self) -> None:
        """Make directory and table, or check that the table there can be gone on with.

        Raises:
            ProtectedError: it is another table, or its last line is cut.
            MinifoldError: it cannot be made or read.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise MinifoldError(f"{self.path} cannot be written: {why}") from None
        if not text:
            self._append(COLUMNS)
        elif not text.startswith(_line(COLUMNS)) or not text.endswith("\n"):
            raise ProtectedError(f"{self.path} is no table of samples; choose another --out")

    def add(self, done: Fold, file: Path) -> dict[str, Any]:
        """Append the row of a sample that is on disk as ``file``, and return it.

        Raises:
            MinifoldError: it cannot be written; the table is as it was.
        """
        row = {
            "name": done.target.name,
            "copy": done.copy,
            "length": len(done.target.sequence),
            "file": file.name,
            "seed": self.seed,
            **self.settings.model_dump(),
            "weights": self.weights,
            "rg": round(done.radius_of_gyration, 3),
            "seconds": round(done.seconds, 3),
        }
        self._append(row[name] for name in COLUMNS)
        return row

    def _append(self, cells: Iterable[object]) -> None:
        line = _line(cells).encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                before = file.tell()
                if file.write(line) != len(line):
                    file.truncate(before)
                    raise OSError(0, "the disk is full")
                os.fsync(file.fileno())
        except OSError as error:
            raise MinifoldError(f"{self.path} cannot be written: {error.strerror}") from None


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
