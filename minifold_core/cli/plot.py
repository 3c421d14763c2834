"""``minifold plot``: pictures of what trained weights do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.cli.platform import DeviceOption
from minifold_core.cli.plot_options import (
    RULE,
    ChainsOption,
    CountOption,
    DataOption,
    OutOption,
    choose_chains,
    load_subject,
    picture_path,
    split_names,
)
from minifold_core.cli.plot_structures import WHAT, ramachandran, structures_command
from minifold_core.cli.sample import SplitOption, WeightsArgument
from minifold_core.console import note
from minifold_core.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="Draw pictures for papers, as PNG or SVG.")


@app.command(epilog=RULE)
def contacts(
    weights: WeightsArgument,
    data: DataOption = "demo",
    out: OutOption = None,
    split: SplitOption = "validation",
    chains: ChainsOption = None,
    count: CountOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw native beside predicted contacts of some chains."""
    path = picture_path(out, weights, "contacts")
    dataset, chosen = choose_chains(data, split, chains, count)
    model, about = load_subject(weights, device)
    from minifold_core.plots.contacts import contact_maps, draw_contacts
    from minifold_core.plots.style import save

    maps = contact_maps(model, chosen)
    about = f"contacts predicted by {about}; {split} chains of {dataset.file.path.name}"
    save(draw_contacts(maps), path, about)
    if as_json:
        emit_json(
            {
                "file": str(path),
                "chains": [
                    {"name": m.chain.name, "residues": len(m.chain), **m.figures} for m in maps
                ],
            }
        )
    else:
        print(f"contacts of {', '.join(m.chain.name for m in maps)} in {path}")


@app.command()
def embeddings(
    weights: WeightsArgument,
    data: DataOption = "demo",
    out: OutOption = None,
    splits: Annotated[
        list[str] | None,
        typer.Option("--split", help="Which chains; repeatable. Default validation and test."),
    ] = None,
    method: Annotated[str, typer.Option(help="pca | umap (pip install 'minifold[umap]').")] = "pca",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw the embeddings of chains, coloured by CATH.

    An embedding is what the CATH head pools from the residues of a chain. One panel is coloured by
    class, one by architecture (the three most frequent of each class, the others grey).
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.plots.projection import projector
    from minifold_core.plots.style import save

    path = picture_path(out, weights, "embeddings")
    project = projector(method)
    dataset = open_dataset(data)
    if not splits:
        splits = [s for s in ("validation", "test") if dataset.splits[s]] or ["validation"]
    chains = [chain for split in dict.fromkeys(splits) for chain in dataset.subset(split)]
    from minifold_core.plots.embeddings import check_labels, draw_embeddings, embed, pooling_slot

    model, about = load_subject(weights, device)
    if (slot := pooling_slot(model)) in model.wiring.idle:
        note(f"warning: {slot} of these weights was never trained: it pools at random")
    labelled = check_labels(chains)
    projection = project(embed(model, chains))
    about = f"embeddings of {about}; {' and '.join(splits)} chains of {dataset.file.path.name}"
    save(draw_embeddings(projection, chains), path, about)
    if as_json:
        emit_json(
            {
                "file": str(path),
                "method": method,
                "chains": len(chains),
                "labelled": labelled,
                "variance": projection.variance,
            }
        )
    else:
        print(f"embeddings of {len(chains)} chains, {labelled} with a CATH class, in {path}")


@app.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One to four runs.")],
    out: OutOption = None,
    terms: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Losses and figures to draw alone.")
    ] = None,
    smooth: Annotated[
        int, typer.Option(min=1, help="Draw means over an epoch and the N - 1 before it.")
    ] = 1,
    bins: Annotated[
        bool, typer.Option("--bins", help="Validation losses per noise level instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw how training went: losses, scores, learning rates and gradient norms by epoch.

    The published curve of a run's version lies behind it in grey, where one was published.
    """
    from minifold_core.plots.style import save
    from minifold_core.runs import read_run

    path = picture_path(out, runs[0], "bins" if bins else "curves")
    records = [read_run(run) for run in runs]
    for record in records:
        for problem in record.problems:
            note(f"warning: {record.directory}: {problem}")
    wanted = split_names(terms or "")
    if terms is not None and not wanted:
        raise RequestError("--terms names no curve; give names of metrics.csv such as fape,bond")
    from minifold_core.plots.curves import about, draw_bins, draw_curves

    figure = (draw_bins if bins else draw_curves)(records, wanted, smooth)
    save(figure, path, about(records))
    if as_json:
        emit_json({"file": str(path), "runs": [str(record.directory) for record in records]})
    else:
        print(f"curves of {', '.join(str(record.directory) for record in records)} in {path}")


for _picture, _what in WHAT.items():
    app.command(_picture, help=_what, epilog=RULE)(structures_command(_picture))
app.command()(ramachandran)
