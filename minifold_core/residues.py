"""Residue vocabulary and heavy-atom names, without numpy or torch."""

from __future__ import annotations

from minifold_core.errors import RequestError

PAD, MASK, CLS, EOS, UNK = range(5)
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
FIRST_AMINO_ACID = UNK + 1
VOCABULARY_SIZE = FIRST_AMINO_ACID + len(AMINO_ACIDS)

ONE_TO_TOKEN = {letter: FIRST_AMINO_ACID + i for i, letter in enumerate(AMINO_ACIDS)}
TOKEN_TO_ONE = {token: letter for letter, token in ONE_TO_TOKEN.items()} | {UNK: "X"}

THREE_TO_ONE = {
    "ALA": "A", "CYS": "C", "ASP": "D", "GLU": "E", "PHE": "F", "GLY": "G", "HIS": "H",
    "ILE": "I", "LYS": "K", "LEU": "L", "MET": "M", "ASN": "N", "PRO": "P", "GLN": "Q",
    "ARG": "R", "SER": "S", "THR": "T", "VAL": "V", "TRP": "W", "TYR": "Y",
}  # fmt: skip
ONE_TO_THREE = {one: three for three, one in THREE_TO_ONE.items()} | {"X": "UNK"}
ONE_LETTER = THREE_TO_ONE | {"MSE": "M"}
"""What residues are read as: selenomethionine stands in for methionine."""

BACKBONE_ATOMS = ("N", "CA", "C", "O")
SIDECHAIN_ATOMS: dict[str, tuple[str, ...]] = {
    "A": ("CB",),
    "C": ("CB", "SG"),
    "D": ("CB", "CG", "OD1", "OD2"),
    "E": ("CB", "CG", "CD", "OE1", "OE2"),
    "F": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ"),
    "G": (),
    "H": ("CB", "CG", "ND1", "CD2", "CE1", "NE2"),
    "I": ("CB", "CG1", "CG2", "CD1"),
    "K": ("CB", "CG", "CD", "CE", "NZ"),
    "L": ("CB", "CG", "CD1", "CD2"),
    "M": ("CB", "CG", "SD", "CE"),
    "N": ("CB", "CG", "OD1", "ND2"),
    "P": ("CB", "CG", "CD"),
    "Q": ("CB", "CG", "CD", "OE1", "NE2"),
    "R": ("CB", "CG", "CD", "NE", "CZ", "NH1", "NH2"),
    "S": ("CB", "OG"),
    "T": ("CB", "OG1", "CG2"),
    "V": ("CB", "CG1", "CG2"),
    "W": ("CB", "CG", "CD1", "CD2", "NE1", "CE2", "CE3", "CZ2", "CZ3", "CH2"),
    "Y": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ", "OH"),
    "X": (),
}
"""Heavy side-chain atoms of each residue, outward from Cβ, in the order of the packed data."""
MAX_SIDECHAIN_ATOMS = max(len(atoms) for atoms in SIDECHAIN_ATOMS.values())


def encode(sequence: str) -> list[int]:
    """Token ids of a one-letter sequence; ``X`` (and ``B``, ``Z``, ``J``, ``U``, ``O``) is UNK.

    Raises:
        RequestError: a character is no residue letter; the message gives its position.
    """
    tokens = []
    for position, letter in enumerate(sequence.upper(), start=1):
        if letter in ONE_TO_TOKEN:
            tokens.append(ONE_TO_TOKEN[letter])
        elif letter in "XBZJUO":
            tokens.append(UNK)
        else:
            raise RequestError(
                f"{letter!r} at position {position} is no one-letter residue code; "
                f"use {AMINO_ACIDS}, or X for any other residue"
            )
    return tokens


def decode(tokens: list[int]) -> str:
    """One-letter sequence of residue token ids; what is no amino acid becomes ``X``."""
    return "".join(TOKEN_TO_ONE.get(token, "X") for token in tokens)
