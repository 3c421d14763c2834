"""``minifold data``: pack structures, look into a packed dataset, fetch structures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from minifold_core.console import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minifold_core.data.records import Rejection

app = typer.Typer(no_args_is_help=True, help="Pack, describe and fetch protein structures.")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ListRejected = Annotated[
    bool, typer.Option("--list-rejected", help="List everything left out, with its reason.")
]


@app.command()
def pack(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="PDB, mmCIF or BinaryCIF files (plain or .gz), CATH chain_set.jsonl, or "
            "directories of them."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Packed dataset to write.")],
    min_length: Annotated[int, typer.Option(help="Fewest residues with a known Cα.")] = 20,
    max_length: Annotated[int, typer.Option(help="Most residues.")] = 125,
    crop: Annotated[
        bool,
        typer.Option("--crop", help="Cut longer chains to a window. A fragment is not a fold."),
    ] = False,
    splits: Annotated[
        Optional[Path],  # noqa: UP045  (typer shows it as a plain path)
        typer.Option(help="CATH splits JSON, or TSV with columns name and split."),
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Fraction of entries to hold out where no splits file is found.")
    ] = 0.1,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Reading processes; default one per CPU."),
    ] = None,
    drop_relatives: Annotated[
        bool,
        typer.Option(
            "--drop-relatives",
            help="Leave out training chains that align with a validation or test chain.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    list_rejected: ListRejected = False,
    as_json: AsJson = False,
) -> None:
    """Pack protein structures into one memory-mapped dataset."""
    from minifold_core.data.limits import Limits
    from minifold_core.data.packing import NothingToPack, in_words
    from minifold_core.data.packing import pack as pack_chains

    limits = Limits(min_length, max_length, crop)
    try:
        report = pack_chains(
            inputs, out, limits, splits, validation, workers, force, drop_relatives
        )
    except NothingToPack as error:
        if list_rejected:
            _print_rejected(error.rejected)
        raise
    counts = ", ".join(f"{n} {split}" for split, n in report.splits.items())
    note(f"split by {report.split_from}")
    if report.cropped:
        note(
            f"{report.cropped} chains were cropped to at most {max_length} residues: a fragment is "
            "not a fold; judge no model by them"
        )
    if report.renamed:
        note(
            f"{report.renamed} chains are named by their directories too, for their files share "
            "their names"
        )
    if as_json:
        result = {
            "path": str(out),
            "chains": report.chains,
            "splits": dict(report.splits),
            "split_from": report.split_from,
            "cropped": report.cropped,
            "renamed": report.renamed,
            "rejected": report.reasons,
            "rejected_list": [vars(rejection) for rejection in report.rejected],
        }
        print(json.dumps(result, indent=2))
        return
    print(f"packed {report.chains} chains into {out} ({counts})")
    print(f"left out: {in_words(report.reasons) or 'nothing'}")
    if list_rejected:
        _print_rejected(report.rejected)
    elif report.rejected:
        note(f"each with its reason: minifold data info {out} --list-rejected")


@app.command()
def info(
    file: Annotated[str, typer.Argument(help="A packed dataset, or 'demo' for the built-in one.")],
    leakage: Annotated[
        bool,
        typer.Option(
            "--leakage",
            help="Align validation and test chains with the training chains, however long it "
            "takes. Small datasets are always checked.",
        ),
    ] = False,
    list_rejected: ListRejected = False,
    as_json: AsJson = False,
) -> None:
    """Show what a packed dataset holds, and whether held-out chains have relatives in training."""
    from minifold_core.data.dataset import open_dataset
    from minifold_core.data.leakage import QUICK, check, residue_pairs
    from minifold_core.data.leakage import render as render_leakage
    from minifold_core.data.summary import render, summarise

    dataset = open_dataset(file)
    found = check(dataset) if leakage or residue_pairs(dataset) <= QUICK else None
    summary = summarise(dataset) | {"leakage": found}
    rejected = dataset.file.rejected if list_rejected else []
    if as_json:
        listed = {"rejected_list": [vars(r) for r in rejected]} if list_rejected else {}
        print(json.dumps(summary | listed, indent=2))
        return
    print("\n".join([render(summary), *render_leakage(found)]))
    _print_rejected(rejected)


@app.command()
def fetch(
    ids: Annotated[list[str], typer.Argument(help="PDB entry ids, or cath-4.2.")],
    out: Annotated[Path, typer.Option("--out", help="Directory to download into.")],
    as_json: AsJson = False,
) -> None:
    """Download PDB entries as BinaryCIF, or the CATH 4.2 chain set."""
    from minifold_core.data.fetch import CATH, fetch_cath, fetch_entries
    from minifold_core.files import check_writable

    check_writable(out, "--out")
    paths = fetch_cath(out) if ids == [CATH] else fetch_entries(ids, out)
    print(json.dumps([str(p) for p in paths]) if as_json else "\n".join(map(str, paths)))
    note(f"next: minifold data pack {out} --out data.safetensors")


def _print_rejected(rejected: Iterable[Rejection]) -> None:
    for rejection in rejected:
        print(f"  {rejection.name}: {rejection.reason}: {rejection.detail}")
