"""The files of a sampling: names that do not clash, and a table of what has been written."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from minifold_core.choosing import copy_of
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.geometry.size import radius_of_gyration
from minifold_core.version import __version__

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
    "embeddings",
    "rebuilt",
    "sequence",
    "best_of",
    "draw",
    "plddt",
    "plddt_drawn",
    "rg",
    "seconds",
)
"""``file`` lies beside the table; ``weights`` and ``embeddings`` are SHA-256 of files (empty if
none was read); ``rebuilt`` says whether the backbone was built onto the model's trace. A sample is
the best of ``best_of`` draws, the one with the number ``draw``: the copy that has the same noise
without a choice. ``plddt`` is its mean over residues, 0 to 100, empty if the model gives none, and
``plddt_drawn`` that of every draw, empty without a choice. ``rg`` is the radius of gyration in
ångström, ``seconds`` the sample's share of its batch's time, of all draws together."""


def _number_or_none(cell: str) -> float | None:
    return float(cell) if cell else None


OUTCOMES: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("draw", int),
    ("plddt", _number_or_none),
    ("plddt_drawn", str),
    ("rg", float),
    ("seconds", float),
)
"""Columns that a sample has only once it is there, and how a cell of theirs is read."""

Samples = Mapping[tuple[str, int], Path]
"""The files of samples, by the names of their targets and their copy numbers."""


def structure_paths(
    out: Path, targets: Iterable[Target], count: int, suffix: str, trajectory: bool
) -> dict[tuple[str, int], Path]:
    """Where each target's copies go, by name and copy number.

    Raises:
        RequestError: two samples would share a file.
    """
    paths = {
        (target.name, copy): out / f"{target.stem}{f'-{copy}' if count > 1 else ''}.{suffix}"
        for target in targets
        for copy in range(1, count + 1)
    }
    files = [file for path in paths.values() for file in files_of(path, trajectory)]
    doubled = len(files) - len(set(files))
    if doubled:
        raise RequestError(
            f"{doubled} sequences would share a file name; give each a name of its own"
        )
    return paths


def trajectory_paths(structure: Path) -> tuple[Path, Path]:
    """``NAME.xt.pdb`` for the noised states and ``NAME.x0.pdb`` for the predictions."""
    stem, suffix = structure.stem, structure.suffix
    states, predictions = (structure.with_name(f"{stem}{kind}{suffix}") for kind in TRAJECTORY)
    return states, predictions


def files_of(structure: Path, trajectory: bool) -> tuple[Path, ...]:
    """The files of one sample: its structure, and those of its trajectory if that is kept."""
    return (structure, *(trajectory_paths(structure) if trajectory else ()))


def is_trajectory(path: Path) -> bool:
    """Whether a file is called as those of :func:`trajectory_paths` are."""
    return Path(path.stem).suffix in TRAJECTORY


def listed_files(directory: Path) -> list[Path] | None:
    """The structures that the ``samples.csv`` of a directory lists; None if it has none of ours.

    Raises:
        MinifoldError: the table cannot be read.
    """
    table = directory / TABLE
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"name", "copy", "file"} <= set(rows.fieldnames or ()):
                return None
            return [directory / row["file"] for row in rows if row["file"]]
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return None
    except OSError as error:
        raise MinifoldError(f"{table} cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class SampleTable:
    """``samples.csv``: a row for every structure that is on disk, appended when it is there.

    Attributes:
        directory: of the structures.
        model: id of the recipe of the weights.
        seed: of the noise.
        settings: of the sampler.
        weights: SHA-256 of the weights file.
        embeddings: SHA-256 of the file of embeddings; empty if none are read.
        rebuilt: whether backbones are built onto the traces of the model.
        best_of: how many are drawn for a sample that is kept.
    """

    directory: Path
    model: str
    seed: int
    settings: SamplingConfig
    weights: str
    embeddings: str = ""
    rebuilt: bool = False
    best_of: int = 1

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
        except OSError as error:
            raise self._failed(error) from None
        if not self._text():
            self._append(COLUMNS)

    def kept(
        self, targets: Sequence[Target], paths: Samples, trajectory: bool
    ) -> dict[tuple[str, int], dict[str, Any]]:
        """The rows of those samples that an earlier call of the same kind has written.

        Raises:
            ProtectedError: a file is there that is not such a sample's, or the table knows a sample
                by other settings or without its files.
            MinifoldError: the table cannot be read.
        """
        listed = {row["file"]: row for row in self._rows()}
        of_name = {target.name: target for target in targets}
        for earlier in listed.values():
            if target := of_name.get(earlier["name"]):
                self._check(earlier, self._settings(target))
        kept = {}
        for (name, copy), path in paths.items():
            files = files_of(path, trajectory)
            there = [file for file in files if file.exists()]
            row = listed.get(path.name)
            if row is None and there:
                raise ProtectedError(
                    f"{there[0]} exists and {self.path} does not list it; "
                    "choose another --out, or move it away"
                )
            if row is None:
                continue
            self._check(row, {"name": name, "copy": copy})
            if missing := [file for file in files if file not in there]:
                raise ProtectedError(
                    f"{self.path} lists {path.name}, but {missing[0]} is not there; "
                    "choose another --out"
                )
            plan = self._plan(of_name[name], copy, path)
            kept[name, copy] = plan | {column: read(row[column]) for column, read in OUTCOMES}
        return kept

    def add(self, done: Fold, file: Path) -> dict[str, Any]:
        """Append the row of a sample that is on disk as ``file``, and return it.

        Raises:
            MinifoldError: it cannot be written; the table is as it was.
        """
        trace = done.coords[None]
        size = radius_of_gyration(trace, torch.ones_like(trace[..., 0]))
        row = self._plan(done.target, copy_of(done.copy, self.best_of), file)
        plddt = done.mean_plddt
        row |= {
            "draw": done.copy,
            "plddt": None if plddt is None else percent(plddt),
            "plddt_drawn": " ".join(str(percent(each)) for each in done.drawn),
            "rg": round(float(size), 3),
            "seconds": round(done.seconds, 3),
        }
        self._append(row[name] for name in COLUMNS)
        return row

    def origin(self, done: Fold) -> str:
        """A sentence for the header of a sample's file, from which it can be drawn again."""
        settings = ", ".join(f"{name} {value:g}" for name, value in self.settings)
        chosen = f", the best of {self.best_of}" if self.best_of > 1 else ""
        return (
            f"Sampled by minifold {__version__} from {self.model}, weights {self.weights[:12]}: "
            f"seed {self.seed}, draw {done.copy}{chosen}, {settings}."
        )

    def arrange(self, paths: Iterable[Path]) -> None:
        """Bring the rows of ``paths`` into this order, behind those of other samples.

        Raises:
            MinifoldError: the table cannot be read or written; it is as it was.
        """
        place = {path.name: number for number, path in enumerate(paths)}
        rows = sorted(self._rows(), key=lambda row: place.get(row["file"], -1))
        lines = [COLUMNS, *([row[name] for name in COLUMNS] for row in rows)]
        with atomic(self.path) as unfinished:
            unfinished.write_text("".join(map(_line, lines)), encoding="utf-8", newline="")

    def _check(self, row: Mapping[str, str], plan: Mapping[str, Any]) -> None:
        """Refuse a row that holds something else than planned."""
        for column, wanted in plan.items():
            if row[column] != str(wanted):
                raise ProtectedError(
                    f"{self.directory / row['file']} exists and has {column} "
                    f"{row[column] or 'none'}, not {str(wanted) or 'none'}; choose another --out"
                )

    def _plan(self, target: Target, copy: int, file: Path) -> dict[str, Any]:
        """What a row holds before there is a sample."""
        return {"name": target.name, "copy": copy, "file": file.name, **self._settings(target)}

    def _settings(self, target: Target) -> dict[str, Any]:
        """What the rows of a target share."""
        return {
            "length": len(target.sequence),
            "seed": self.seed,
            **self.settings.model_dump(),
            "weights": self.weights,
            "embeddings": self.embeddings,
            "rebuilt": self.rebuilt,
            "sequence": target.sequence,
            "best_of": self.best_of,
        }

    def _rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self._text(), newline="")))

    def _text(self) -> str:
        """The table so far; empty if there is none."""
        try:
            text = self.path.read_bytes().decode() if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(error) from None
        if text and not (text.startswith(_line(COLUMNS)) and text.endswith("\n")):
            raise ProtectedError(f"{self.path} is no table of samples; choose another --out")
        return text

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
            raise self._failed(error) from None

    def _failed(self, error: OSError | UnicodeDecodeError) -> MinifoldError:
        why = getattr(error, "strerror", None) or error
        return MinifoldError(f"{self.path} cannot be written: {why}")


def percent(share: float) -> float:
    """A share as it stands in tables and B-factors: 0 to 100, with two decimals."""
    return round(100 * share, 2)


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
