"""``minifold sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.cli.platform import MAX_SEED, DeviceOption, choose_device, trimming
from minifold_core.console import note, progress
from minifold_core.errors import MinifoldError, ProtectedError, RequestError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from minifold_core.folding import Fold, Target
    from minifold_core.recipe import Recipe
    from minifold_core.recipe_schema import SamplingConfig
    from minifold_core.weights.header import Header

FORMATS = ("pdb", "cif", "bcif")

WeightsArgument = Annotated[
    Path, typer.Argument(metavar="RUN|FILE|ID:TAG", help="A run or a weights file.")
]
SplitOption = Annotated[
    str, typer.Option(help="Which chains of the data: train, validation or test.")
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, help="Denoising steps; default the recipe's.")
]
EtaOption = Annotated[float | None, typer.Option(help="0 deterministic ... 1 fully stochastic.")]
GuidanceOption = Annotated[
    float | None, typer.Option(help="Guidance weight; 0 ignores the sequence.")
]
SeedOption = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the noise.")]


def sample(
    weights: WeightsArgument,
    out: Annotated[Path, typer.Option(help="Directory for the structures.")],
    sequence: Annotated[str | None, typer.Option(help="A one-letter sequence.")] = None,
    fasta: Annotated[Path | None, typer.Option(help="A FASTA file.")] = None,
    data: Annotated[str | None, typer.Option(help="A packed dataset, or 'demo'.")] = None,
    split: SplitOption = "validation",
    length: Annotated[
        int | None, typer.Option(min=1, help="No sequence: this many residues.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Structures per sequence.")] = 1,
    steps: StepsOption = None,
    eta: EtaOption = None,
    guidance: GuidanceOption = None,
    file_format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "pdb",
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Sample structures from trained weights: Cα traces, or backbones from v14 on."""
    if file_format not in FORMATS:
        raise RequestError(f"--format {file_format}: {did_you_mean(file_format, FORMATS)}")
    sources: dict[str, object] = {
        "--sequence": sequence,
        "--fasta": fasta,
        "--data": data,
        "--length": length,
    }
    given: list[str] = [flag for flag, value in sources.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are both given" if given else "nothing to sample"
        raise RequestError(f"{what}; give one of {', '.join(sources)}")
    if length is not None and guidance not in (None, 0):
        raise RequestError("--length has no sequence to guide with; leave --guidance out")

    from minifold_core.training.objective import build_process
    from minifold_core.weights.io import load_model

    model, header = load_model(weights)
    build_process(model.recipe)  # a model that denoises nothing is refused before anything else
    targets = _targets(sequence, fasta, data, split, length)
    settings = sampling_settings(model.recipe, steps, eta, 0 if length else guidance)
    warn_of_random_encoder(header)

    from minifold_core.folding import fold, steps_of

    paths = {
        (target.name, copy): out / f"{target.stem}{f'-{copy}' if count > 1 else ''}.{file_format}"
        for target in targets
        for copy in range(1, count + 1)
    }
    _refuse_overwriting(paths)
    results: list[dict[str, str | int]] = []
    with progress("sampling", steps_of(targets, settings, count)) as advance:
        chosen = choose_device(device)
        for done in fold(
            model,
            targets,
            settings,
            count=count,
            seed=seed,
            device=chosen,
            on_step=trimming(advance),
        ):
            path = paths[done.target.name, done.copy]
            save_fold(done, path)
            results.append({"name": done.target.name, "copy": done.copy, "file": str(path)})
    if as_json:
        emit_json(results)
    else:
        shown = [str(row["file"]) for row in results[:5]] + ["..."] * (len(results) > 5)
        what = f"{_count(len(results), 'structure')} of {_count(len(targets), 'protein')}"
        print(f"{what} in {out}: {', '.join(shown)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def save_fold(done: Fold, path: Path) -> None:
    """Write a sample; its directory is made.

    Raises:
        MinifoldError: it cannot be written, or the model gave something that is no structure.
    """
    from minifold_core.residues import BACKBONE_ATOMS
    from minifold_core.structures import write_structure

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MinifoldError(f"{path.parent} cannot be made: {error.strerror}") from None
    target = done.target
    coords: Tensor = done.coords
    atoms: tuple[str, ...] = ("CA",)
    if done.backbone is not None:
        coords, atoms = done.backbone, BACKBONE_ATOMS
    write_structure(
        path, coords, target.sequence, target.residue_index, atoms=atoms, name=path.stem
    )


def warn_of_random_encoder(header: Header) -> None:
    """Tell the user when the model hardly knows what it reads."""
    from minifold_core.weights.header import RANDOM

    if header.encoder == RANDOM:
        note(
            "warning: the frozen encoder of these weights is random (minifold train --encoder-from)"
        )


def sampling_settings(
    recipe: Recipe, steps: int | None, eta: float | None, guidance: float | None
) -> SamplingConfig:
    """The recipe's sampling defaults with the user's choices over them.

    Raises:
        RequestError: a choice is out of range.
    """
    from minifold_core.recipe import validate_section
    from minifold_core.recipe_schema import SamplingConfig

    chosen = {"steps": steps, "eta": eta, "guidance": guidance}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    settings = validate_section("sampling", SamplingConfig, recipe.sampling.model_dump() | chosen)
    if settings.guidance != 1 and recipe.training.unconditional == 0:
        note(
            f"warning: {recipe.id} never trained without a sequence (training.unconditional = 0): "
            "what it predicts without one means nothing"
        )
    return settings


def _targets(
    sequence: str | None, fasta: Path | None, data: str | None, split: str, length: int | None
) -> list[Target]:
    from minifold_core.folding import Target

    if sequence is not None:
        return [Target("sequence", _checked(sequence, "--sequence"))]
    if length is not None:
        return [Target(f"length{length}", "X" * length)]
    if fasta is not None:
        return [
            Target(name, _checked(text, f"{fasta}, {name}")) for name, text in _read_fasta(fasta)
        ]
    from minifold_core.data.dataset import open_dataset

    return [Target.of(chain) for chain in open_dataset(str(data)).subset(split)]


def _read_fasta(path: Path) -> list[tuple[str, str]]:
    """Names (first words of the headers) and sequences."""
    from biotite.file import InvalidFileError
    from biotite.sequence.io.fasta import FastaFile

    try:
        records = list(FastaFile.read_iter(str(path)))
    except (OSError, InvalidFileError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RequestError(f"FASTA {path} cannot be read: {why}") from None
    if not records:
        raise RequestError(f"FASTA {path} holds no sequence")
    named = [
        (header.split()[0] if header.split() else "sequence", text) for header, text in records
    ]
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"FASTA {path}: {names.count(name)} sequences are called '{name}'")
    return named


def _checked(sequence: str, where: str) -> str:
    from minifold_core.residues import encode

    sequence = "".join(sequence.split()).upper()
    if not sequence:
        raise RequestError(f"{where}: the sequence is empty")
    try:
        encode(sequence)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    return sequence


def _refuse_overwriting(paths: dict[tuple[str, int], Path]) -> None:
    doubled = len(paths) - len(set(paths.values()))
    if doubled:
        raise RequestError(
            f"{doubled} sequences would share a file name; give each a name of its own"
        )
    there = [path for path in paths.values() if path.exists()]
    if there:
        raise ProtectedError(f"{there[0]} exists ({len(there)} such files); choose another --out")
