"""What the ``minifold plot`` commands share: options, where pictures go, which chains, weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.platform import choose_device
from minifold_core.cli.sample import warn_of_untrained
from minifold_core.errors import RequestError

if TYPE_CHECKING:
    from minifold_core.data.dataset import PackedDataset
    from minifold_core.data.records import Chain
    from minifold_core.model import FoldModel

COUNT = 3
MOST = 8

DataOption = Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")]
OutOption = Annotated[
    Path | None,
    typer.Option(help="The picture: *.png or *.svg; default NAME-PICTURE.png, here."),
]
ChainsOption = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Chains of the split to draw.")
]
CountOption = Annotated[
    int | None, typer.Option(min=1, max=MOST, help=f"Or how many to choose; default {COUNT}.")
]

RULE = (
    "Chains are chosen by rule: the CATH classes take turns (few secondary structures, mainly "
    "beta, mainly alpha, alpha beta, no class known), each with its chain of median length; "
    "several of one class are spread over its lengths."
)


def picture_path(out: Path | None, subject: Path, picture: str) -> Path:
    """Where the picture goes: ``out``, or a file of the subject's and the picture's name.

    Args:
        out: what the user asked for.
        subject: a run, a weights file or the name of weights.
        picture: what is drawn.

    Raises:
        RequestError: the suffix names no format of pictures.
        ProtectedError: the file exists.
    """
    from minifold_core.plots.style import check_path

    if out is None:
        name = subject.resolve().name if subject.exists() else subject.name
        name = name.removesuffix(".safetensors").replace(":", "-")
        out = Path(f"{name}-{picture}.png")
    check_path(out)
    return out


def choose_chains(
    data: str, split: str, chains: str | None, count: int | None
) -> tuple[PackedDataset, list[Chain]]:
    """The data set, and the chains that were named or those of the rule.

    Raises:
        RequestError: both are given, the split has no such chain, or there are too many.
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.plots.selection import choose, named

    if chains is not None and count is not None:
        raise RequestError("--chains and --count are both given; --chains names all to draw")
    dataset = open_dataset(data)
    if chains is None:
        return dataset, choose(list(dataset.subset(split)), count or COUNT)
    names = split_names(chains)
    if not 1 <= len(names) <= MOST:
        raise RequestError(f"--chains names {len(names)} chains; give 1 to {MOST}")
    return dataset, named(dataset, split, names)


def load_subject(weights: Path, device: str) -> tuple[FoldModel, str]:
    """The model on its device, and in words which weights those are."""
    from minifold_core.weights.io import load_model

    chosen = choose_device(device)
    model, header = load_model(weights)
    warn_of_untrained(str(weights), header)
    return model.to(chosen), f"{model.recipe.id}, step {header.step}"


def split_names(given: str) -> list[str]:
    """The names in a list with commas, each once."""
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
