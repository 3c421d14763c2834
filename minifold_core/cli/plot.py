"""``minifold plot``: pictures of what trained weights do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.cli.platform import DeviceOption, choose_device
from minifold_core.cli.sample import SplitOption, WeightsArgument, warn_of_random_encoder
from minifold_core.console import note
from minifold_core.errors import RequestError

if TYPE_CHECKING:
    from minifold_core.model import FoldModel

app = typer.Typer(no_args_is_help=True, help="Draw pictures for papers, as PNG or SVG.")

COUNT = 3
MOST = 8

DataOption = Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")]
OutOption = Annotated[Path, typer.Option(help="The picture to write: *.png or *.svg.")]


@app.command()
def contacts(
    weights: WeightsArgument,
    data: DataOption,
    out: OutOption,
    split: SplitOption = "validation",
    chains: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Chains of the split to draw.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Or how many to choose; default 3.")
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw native beside predicted contacts of some chains.

    Chains are chosen by rule: the CATH classes take turns (few secondary structures, mainly beta,
    mainly alpha, alpha beta, no class known), each with its chain of median length; several of one
    class are spread over its lengths.
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.plots.selection import choose, named
    from minifold_core.plots.style import check_path, save

    check_path(out)
    if chains is not None and count is not None:
        raise RequestError("--chains and --count are both given; --chains names all to draw")
    dataset = open_dataset(data)
    if chains is None:
        chosen = choose(list(dataset.subset(split)), count or COUNT)
    else:
        chosen = named(dataset, split, _names(chains))
    model, about = _load(weights, device)
    from minifold_core.plots.contacts import contact_maps, draw_contacts

    maps = contact_maps(model, chosen)
    about = f"contacts predicted by {about}; {split} chains of {dataset.file.path.name}"
    save(draw_contacts(maps), out, about)
    if as_json:
        emit_json(
            {
                "file": str(out),
                "chains": [
                    {"name": m.chain.name, "residues": len(m.chain), **m.figures} for m in maps
                ],
            }
        )
    else:
        print(f"contacts of {', '.join(m.chain.name for m in maps)} in {out}")


@app.command()
def embeddings(
    weights: WeightsArgument,
    data: DataOption,
    out: OutOption,
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
    from minifold_core.plots.style import check_path, save

    check_path(out)
    project = projector(method)
    dataset = open_dataset(data)
    if not splits:
        splits = [s for s in ("validation", "test") if dataset.splits[s]] or ["validation"]
    chains = [chain for split in dict.fromkeys(splits) for chain in dataset.subset(split)]
    from minifold_core.plots.embeddings import check_labels, draw_embeddings, embed, pooling_slot

    labelled = check_labels(chains)
    model, about = _load(weights, device)
    if (slot := pooling_slot(model)) in model.wiring.idle:
        note(f"warning: {slot} of these weights was never trained: it pools at random")
    projection = project(embed(model, chains))
    about = f"embeddings of {about}; {' and '.join(splits)} chains of {dataset.file.path.name}"
    save(draw_embeddings(projection, chains), out, about)
    if as_json:
        emit_json(
            {
                "file": str(out),
                "method": method,
                "chains": len(chains),
                "labelled": labelled,
                "variance": projection.variance,
            }
        )
    else:
        print(f"embeddings of {len(chains)} chains, {labelled} with a CATH class, in {out}")


@app.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One to four runs.")],
    out: OutOption,
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
    from minifold_core.plots.style import check_path, save
    from minifold_core.runs import read_run

    check_path(out)
    records = [read_run(run) for run in runs]
    for record in records:
        for problem in record.problems:
            note(f"warning: {record.directory}: {problem}")
    wanted = _split(terms or "")
    if terms is not None and not wanted:
        raise RequestError("--terms names no curve; give names of metrics.csv such as fape,bond")
    from minifold_core.plots.curves import about, draw_bins, draw_curves

    figure = (draw_bins if bins else draw_curves)(records, wanted, smooth)
    save(figure, out, about(records))
    if as_json:
        emit_json({"file": str(out), "runs": [str(record.directory) for record in records]})
    else:
        print(f"curves of {', '.join(str(record.directory) for record in records)} in {out}")


def _load(weights: Path, device: str) -> tuple[FoldModel, str]:
    """The model on its device, and in words which weights those are."""
    from minifold_core.weights.io import load_model

    chosen = choose_device(device)
    model, header = load_model(weights)
    warn_of_random_encoder(header)
    return model.to(chosen), f"{model.recipe.id}, step {header.step}"


def _names(given: str) -> list[str]:
    """The names in a list with commas, each once.

    Raises:
        RequestError: there is none, or more than one picture holds.
    """
    names = _split(given)
    if not 1 <= len(names) <= MOST:
        raise RequestError(f"--chains names {len(names)} chains; give 1 to {MOST}")
    return names


def _split(given: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
