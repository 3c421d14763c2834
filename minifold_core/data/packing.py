"""From structure files to one packed dataset."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from minifold_core.console import progress
from minifold_core.data.files import find_inputs
from minifold_core.data.leakage import training_relatives
from minifold_core.data.limits import CROPPED, Limits
from minifold_core.data.naming import Found, tell_apart
from minifold_core.data.packwriter import write_pack
from minifold_core.data.reading import count_entries, make_jobs, run_jobs
from minifold_core.data.records import REASONS, SPLITS, Chain, Rejection
from minifold_core.data.splits import find_splits, hash_splits, read_splits, split_of
from minifold_core.errors import ProtectedError, RequestError

VALIDATION = 0.1
"""Fraction of entries held out where no splits file says otherwise."""


@dataclass(frozen=True)
class PackReport:
    """What was packed.

    Attributes:
        path: the packed dataset.
        chains: how many chains it holds.
        splits: chains per split.
        split_from: how each chain got its split, in words.
        cropped: how many chains are fragments.
        renamed: how many have the names of directories in theirs, for files that share a name.
        rejected: everything left out, in input order.
    """

    path: Path
    chains: int
    splits: Mapping[str, int]
    split_from: str
    cropped: int
    renamed: int
    rejected: Sequence[Rejection]

    @property
    def reasons(self) -> dict[str, int]:
        """How many were left out for each reason."""
        return count_reasons(self.rejected)


class NothingToPack(RequestError):
    """No chain is left; ``rejected`` says why."""

    def __init__(self, rejected: Sequence[Rejection]) -> None:
        self.rejected = rejected
        first = rejected[0]
        counts = in_words(count_reasons(rejected))
        super().__init__(f"nothing to pack ({counts}); {first.name}: {first.detail}")


def pack(
    inputs: Iterable[Path],
    out: Path,
    limits: Limits | None = None,
    splits: Path | None = None,
    validation: float = VALIDATION,
    workers: int | None = None,
    force: bool = False,
    drop_relatives: bool = False,
) -> PackReport:
    """Read structure files, directories of them, or CATH chain sets, into one packed dataset.

    Args:
        inputs: files and directories.
        out: the packed dataset to write.
        limits: the length filter; by default 20 to 125 residues, nothing cropped.
        splits: CATH's JSON or a TSV with columns ``name`` and ``split``. By default the file that
            lies beside an input, else a hash of the entry's name.
        validation: fraction of entries that the hash holds out.
        workers: processes; by default one per CPU.
        force: replace ``out`` if it exists.
        drop_relatives: leave training chains out that align with a held-out one.

    Raises:
        ProtectedError: ``out`` exists.
        RequestError: an input is missing, an option is out of range, or no chain is left
            (:class:`NothingToPack`).
        MinifoldError: ``out`` cannot be written.
    """
    if out.exists() and not force:
        raise ProtectedError(f"{out}: exists already; choose another --out or give --force")
    if not 0 <= validation < 1:
        raise RequestError(f"--validation {validation}: give a fraction from 0 to below 1")
    workers = workers or os.cpu_count() or 1
    found, limits = find_inputs(inputs), limits or Limits()
    tables = {source: splits or find_splits(source) for _, source in found}
    named = {path: read_splits(path) for path in dict.fromkeys(tables.values()) if path}

    gathered, rejected = _gather(found, limits, workers)
    chains = tell_apart(gathered)
    table = {source: named[path] if path else None for source, path in tables.items()}
    kept = _assign_splits(chains, table, validation, rejected)
    if drop_relatives:
        kept = _without_relatives(kept, rejected)
    if not kept:
        raise NothingToPack(rejected)
    report = PackReport(
        path=out,
        chains=len(kept),
        splits=_count(SPLITS, (chain.split for chain in kept)),
        split_from=_origin(tables.values(), validation),
        cropped=sum(CROPPED in chain.provenance for chain in kept),
        renamed=sum(one.chain.name != one.original for one in chains),
        rejected=rejected,
    )
    summary = {
        "split_from": report.split_from,
        "cropped": report.cropped,
        "rejected": report.reasons,
        "sources": [source.resolve().name for source in tables],
        "min_length": limits.min_length,
        "max_length": limits.max_length,
    }
    write_pack(out, kept, rejected, summary)
    return report


def count_reasons(rejected: Iterable[Rejection]) -> dict[str, int]:
    """How many rejections each reason has, in the order of :data:`REASONS`."""
    return {k: n for k, n in _count(REASONS, (r.reason for r in rejected)).items() if n}


def in_words(reasons: Mapping[str, int]) -> str:
    """Such as ``3 too_long, 1 unreadable``."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())


def _gather(
    inputs: Sequence[tuple[Path, Path]], limits: Limits, workers: int
) -> tuple[list[Found], list[Rejection]]:
    """Every admitted chain, the first of those that exclude each other; and what is left out."""
    found: list[Found] = []
    of_name: dict[str, list[Found]] = {}
    rejected: list[Rejection] = []
    with (
        progress("reading", count_entries(inputs)) as advance,
        closing(run_jobs(make_jobs(inputs, limits), workers)) as results,
    ):
        for job, read in results:
            for place, item in read:
                if isinstance(item, Rejection):
                    rejected.append(item)
                    continue
                one = Found(job.source, place, item, item.name)
                before = of_name.setdefault(item.name, [])
                if first := next((other for other in before if other.excludes(one)), None):
                    why = f"in {place}; kept the one in {first.place}"
                    rejected.append(Rejection(item.name, "duplicate_name", why))
                else:
                    before.append(one)
                    found.append(one)
            advance(job.entries)
    return found, rejected


def _assign_splits(
    found: Sequence[Found],
    tables: Mapping[Path, Mapping[str, str] | None],
    validation: float,
    rejected: list[Rejection],
) -> list[Chain]:
    """The chains with their splits; one that its table does not name joins ``rejected``."""
    hashed = hash_splits([one.chain for one in found if tables[one.source] is None], validation)
    kept = []
    for one in found:
        chain, table = one.chain, tables[one.source]
        if table is None:
            split: str | None = hashed[chain.name]
        else:
            split = split_of(chain.name, table) or split_of(one.original, table)
        if split is None:
            rejected.append(Rejection(chain.name, "not_in_splits", "not named in the splits file"))
        else:
            kept.append(replace(chain, split=split))
    return kept


def _without_relatives(chains: Sequence[Chain], rejected: list[Rejection]) -> list[Chain]:
    """The chains without training chains whose relatives are held out; those join ``rejected``."""
    related = training_relatives(chains)
    rejected += [
        Rejection(name, "related", f"aligns with {other}, which is held out")
        for name, other in related.items()
    ]
    return [chain for chain in chains if chain.name not in related]


def _origin(paths: Iterable[Path | None], validation: float) -> str:
    hashed = f"hash of the entry name, validation fraction {validation:g}"
    return "; ".join(dict.fromkeys(path.name if path else hashed for path in paths))


def _count(keys: Iterable[str], values: Iterable[str]) -> dict[str, int]:
    counts = Counter(values)
    return {key: counts[key] for key in keys}
