"""``minifold sidechain``; heavy imports are inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Side chains: pack them onto a backbone.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Side chains: pack them onto a backbone."""


@app.command("pack")
def pack(
    file: Annotated[Path, typer.Argument(help="A PDB, mmCIF or BinaryCIF file, perhaps gzipped.")],
    out: Annotated[Path, typer.Option(help="The file to write: .pdb, .cif or .bcif.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="RUN|FILE|ID:TAG", help="Of a packer; default those that ship."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Give every residue whose N, Cα and C are known all its heavy side-chain atoms.

    Side chains in the file are not read. The backbone, chains and residue numbers stay; of several
    conformers the one of highest occupancy does; hydrogens, ligands and water are left out. The
    B-factors of side chains are 100 times the probability of the rotamer that was chosen.
    """
    from minifold_sidechain.pack import pack_file

    print(pack_file(file, out, weights, device))
