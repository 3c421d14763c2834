"""What ``minifold sample`` is to fold: a sequence, a FASTA file, a dataset, or a length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minifold_core.console import note
from minifold_core.errors import RequestError
from minifold_core.residues import ONE_TO_TOKEN, encode

if TYPE_CHECKING:
    from minifold_core.folding import Target

STOP, GAPS = "*", "-."
MIN_RESIDUES = 3
"""A frame takes three Cα in a row; fewer have no orientation, and there is no fold to sample."""


def read_targets(
    sequence: str | None, fasta: Path | None, data: str | None, split: str, length: int | None
) -> list[Target]:
    """The proteins to sample, from the one source that is given.

    Raises:
        RequestError: there is not exactly one, or it cannot be read, or a sequence is none or too
            short.
    """
    sources = {"--sequence": sequence, "--fasta": fasta, "--data": data, "--length": length}
    given = [flag for flag, value in sources.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are both given" if given else "nothing to sample"
        raise RequestError(f"{what}; give one of {', '.join(sources)}")
    targets = _targets(sequence, fasta, data, split, length)
    for target in targets:
        if (count := len(target.sequence)) < MIN_RESIDUES:
            raise RequestError(
                f"{given[0]}, {target.name}: {count} residue{'s' * (count > 1)}; "
                f"a structure needs at least {MIN_RESIDUES}"
            )
    return targets


def _targets(
    sequence: str | None, fasta: Path | None, data: str | None, split: str, length: int | None
) -> list[Target]:
    from minifold_core.folding import Target

    if sequence is not None:
        return [Target("sequence", clean(sequence, "--sequence"))]
    if length is not None:
        return [Target(f"length{length}", "X" * length)]
    if fasta is not None:
        return [Target(name, clean(text, f"{fasta}, {name}")) for name, text in read_fasta(fasta)]
    from minifold_core.data.dataset import open_dataset

    return [Target.of(chain) for chain in open_dataset(str(data)).subset(split)]


def read_fasta(path: Path) -> list[tuple[str, str]]:
    """Names (first words of the headers) and sequences.

    Raises:
        RequestError: the file cannot be read, holds no record, or two of one name.
    """
    from biotite.file import InvalidFileError
    from biotite.sequence.io.fasta import FastaFile

    try:
        records = list(FastaFile.read_iter(str(path)))
    except (OSError, InvalidFileError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RequestError(f"FASTA {path} cannot be read: {why}") from None
    if not records:
        raise RequestError(f"FASTA {path} holds no sequence; each needs a line '>NAME' before it")
    named = [
        (header.split()[0] if header.split() else "sequence", text) for header, text in records
    ]
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"FASTA {path}: {names.count(name)} sequences are called '{name}'")
    return named


def clean(sequence: str, where: str) -> str:
    """A one-letter sequence in capitals and without white space.

    Raises:
        RequestError: it is empty, or a sign in it is no residue; the message names its place.
    """
    sequence = "".join(sequence.split()).upper()
    if not sequence:
        raise RequestError(f"{where}: the sequence is empty")
    for sign, what in ((STOP, "is a stop codon"), *((gap, "is a gap") for gap in GAPS)):
        if sign in sequence:
            place = sequence.index(sign) + 1
            raise RequestError(f"{where}: '{sign}' at position {place} {what}; take it out")
    try:
        encode(sequence)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    return sequence


def tell_of_unusual(targets: Sequence[Target]) -> None:
    """One line about residues that no model knows, and one about a length that is unusual."""
    from minifold_core.data.limits import MAX_LENGTH, MIN_LENGTH

    rare = sorted({code for target in targets for code in target.sequence} - {*ONE_TO_TOKEN, "X"})
    if rare:
        note(f"note: {', '.join(rare)} are sampled as X, an unknown residue")
    ends = (choose(targets, key=lambda target: len(target.sequence)) for choose in (min, max))
    for target in dict.fromkeys(ends):
        if not MIN_LENGTH <= (length := len(target.sequence)) <= MAX_LENGTH:
            note(
                f"note: {target.name} has {length} residues; models train on {MIN_LENGTH} to "
                f"{MAX_LENGTH} unless their data was packed with --min-length or --max-length"
            )
