"""``minifold sample``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.embeddings import EmbeddingsOption, embedded_targets
from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.cli.platform import MAX_SEED, DeviceOption, choose_device, trimming
from minifold_core.cli.sequences import read_targets, tell_of_unusual
from minifold_core.console import Advance, note, progress
from minifold_core.errors import RequestError, did_you_mean
from minifold_core.files import check_writable

if TYPE_CHECKING:
    from torch import Tensor

    from minifold_core.folding import Fold
    from minifold_core.recipe import Recipe
    from minifold_core.recipe_schema import SamplingConfig
    from minifold_core.training.stopping import Stop
    from minifold_core.weights.header import Header

FORMATS = ("pdb", "cif", "bcif")
REBUILT = "N, C and O are rebuilt from the CA trace, which is all that the model predicts."
CONFIDENCE = "B-factors are the CA lDDT, 0 to 100, that the model expects of each residue."
BANDS = ((90, "very high"), (70, "confident"), (50, "low"))
"""Names of ranges of pLDDT, from a value on, as in the AlphaFold Protein Structure Database;
below them it is very low."""
STATES = "Models are the noised states that the steps of sampling began from."
PREDICTIONS = "Models are what the steps of sampling took their noised states for."

WeightsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|FILE|ID:TAG",
        help="A run, a weights file, or a version that has weights (minifold weights list).",
    ),
]
SplitOption = Annotated[
    str, typer.Option(help="Which chains of the data: train, validation or test.")
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, help="Denoising steps; default the recipe's.")
]
EtaOption = Annotated[
    float | None,
    typer.Option(help="Noise that steps add: 0 none (DDIM), 1 all; 1 with all steps is DDPM."),
]
GuidanceOption = Annotated[
    float | None, typer.Option(help="Guidance weight; 0 ignores the sequence.")
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(help="Factor of all noise; at eta 0, of the start alone. 1: as trained."),
]
AtOnceOption = Annotated[
    int | None,
    typer.Option(min=1, help="Structures computed together at most; fewer take less memory."),
]
SeedOption = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the noise.")]


def sample(
    weights: WeightsArgument,
    out: Annotated[Path, typer.Option(help="Directory for the structures and samples.csv.")],
    sequence: Annotated[str | None, typer.Option(help="A one-letter sequence.")] = None,
    fasta: Annotated[Path | None, typer.Option(help="A FASTA file.")] = None,
    data: Annotated[str | None, typer.Option(help="A packed dataset, or 'demo'.")] = None,
    split: SplitOption = "validation",
    length: Annotated[
        int | None, typer.Option(min=1, help="No sequence: this many residues.")
    ] = None,
    embeddings: EmbeddingsOption = None,
    count: Annotated[int, typer.Option(min=1, help="Structures per sequence.")] = 1,
    best_of: Annotated[
        int, typer.Option(min=1, help="Draw so many for each structure; keep the surest.")
    ] = 1,
    steps: StepsOption = None,
    eta: EtaOption = None,
    guidance: GuidanceOption = None,
    temperature: TemperatureOption = None,
    file_format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "pdb",
    trajectory: Annotated[
        bool,
        typer.Option("--trajectory", help="Also write every step: NAME.xt.* and NAME.x0.*."),
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build N, C and O onto the Cα trace of the model.")
    ] = False,
    at_once: AtOnceOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Sample structures from trained weights: Cα traces, or backbones from v14 on.

    samples.csv in --out gets a row for every structure as soon as it is written: its settings, the
    SHA-256 of the weights and embeddings, its radius of gyration in Å and the seconds it took. The
    B-factor column of the structures is the lDDT that the model expects of each residue, 0 to 100
    (pLDDT), if it has a confidence head, else 0. --trajectory adds two files per structure, with a
    model for each step: the noised Cα trace that the step began from (xt) and what the model took
    it for (x0).

    With --best-of N, N samples are drawn for each structure, with the noise that --count would give
    them, and the one of highest mean pLDDT is kept. That is the model's own opinion of them.

    Ctrl-C stops after the step at hand. The same command goes on: it leaves the structures that
    samples.csv lists as they are, and samples the others as if it had never stopped.
    """
    if file_format not in FORMATS:
        raise RequestError(f"--format {file_format}: {did_you_mean(file_format, FORMATS)}")
    if length is not None and guidance not in (None, 0):
        raise RequestError("--length has no sequence to guide with; leave --guidance out")
    check_writable(out, "--out")
    targets = read_targets(sequence, fasta, data, split, length)
    chosen = choose_device(device)

    from minifold_core.choosing import choose_best, copy_of, draws_of, gives_confidence
    from minifold_core.folding import fold, steps_of
    from minifold_core.sample_files import SampleTable, structure_paths
    from minifold_core.training.objective import build_process
    from minifold_core.training.stopping import stop_on_signals
    from minifold_core.weights.digest import file_sha256
    from minifold_core.weights.find import find_weights
    from minifold_core.weights.io import load_model

    file = find_weights(weights)
    model, header = load_model(file)
    targets = embedded_targets(targets, model.recipe, embeddings, hidden=length is not None)
    process = build_process(model.recipe)  # refuses a model that denoises nothing
    if rebuild and any("backbone" in step.gives.values() for step in model.wiring.steps):
        raise RequestError(f"--rebuild: {model.recipe.id} places N, C and O itself; leave it out")
    if best_of > 1 and not gives_confidence(model):
        raise RequestError(
            f"--best-of: {model.recipe.id} has no confidence head to choose by; leave it out, or "
            "use weights of a version that has one (minifold list-models --uses expected_lddt)"
        )
    settings = sampling_settings(model.recipe, steps, eta, 0 if length else guidance, temperature)
    if best_of > 1 and settings.guidance == 0:
        raise RequestError("--best-of: without a sequence there is nothing to be sure of")
    process.trajectory(settings.steps)  # refuses more steps than there are noise levels
    warn_of_untrained(str(weights), header)
    tell_of_unusual(targets)
    paths = structure_paths(out, targets, count, file_format, trajectory)
    embedded = file_sha256(embeddings) if embeddings else ""
    table = SampleTable(
        out, model.recipe.id, seed, settings, file_sha256(file), embedded, rebuild, best_of
    )
    rows = table.kept(targets, paths, trajectory)
    if rows:
        note(f"going on: {len(rows)} of {_count(len(paths), 'structure')} are in {out} already")
    draws, known = count * best_of, draws_of(rows, best_of)
    total = steps_of(targets, settings, draws, at_once, known)
    with stop_on_signals() as stop:
        try:
            with progress("sampling", total) as advance:
                folds = fold(
                    model,
                    targets,
                    settings,
                    count=draws,
                    seed=seed,
                    device=chosen,
                    at_once=at_once,
                    skip=known,
                    record=trajectory,
                    on_step=_until(stop, trimming(advance)),
                )
                table.start()
                for done in choose_best(folds, best_of):
                    key = done.target.name, copy_of(done.copy, best_of)
                    origin = table.origin(done)
                    if rebuild:
                        save_fold(with_backbone(done), paths[key], origin, REBUILT)
                    else:
                        save_fold(done, paths[key], origin)
                    rows[key] = table.add(done, paths[key])
        except KeyboardInterrupt:
            note(
                f"stopped: {len(rows)} of {_count(len(paths), 'structure')} are in {out}; "
                "the same command goes on with the others"
            )
            raise typer.Exit(stop.code) from None
    table.arrange(paths.values())
    results = [rows[key] | {"file": str(path)} for key, path in paths.items()]
    if as_json:
        emit_json(results)
    else:
        shown = [row["file"] for row in results[:5]] + ["..."] * (len(results) > 5)
        what = f"{_count(len(results), 'structure')} of {_count(len(targets), 'protein')}"
        print(f"{what} in {out}: {', '.join(shown)}")
        for line in _how_sure(results):
            print(line)


def _how_sure(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How sure the model is of its samples, and what they were chosen from, if it can tell."""
    scores = [row["plddt"] for row in rows if row["plddt"] is not None]
    if not scores:
        return
    low, high = min(scores), max(scores)
    bands = dict.fromkeys(_band(score) for score in (low, high))
    yield f"mean pLDDT {_span(low, high)} of 100 ({' to '.join(bands)})"
    drawn = [float(each) for row in rows for each in row["plddt_drawn"].split()]
    if drawn:
        yield f"chosen among {len(drawn)} draws, whose mean is {sum(drawn) / len(drawn):.1f}"


def _band(plddt: float) -> str:
    return next((name for least, name in BANDS if plddt >= least), "very low")


def _span(low: float, high: float) -> str:
    return f"{low:.1f}" + (f" to {high:.1f}" if high > low else "")


def _until(stop: Stop, on_step: Advance) -> Callable[[int], None]:
    """``on_step``, which ends the sampling if someone asked for that."""

    def after(steps: int) -> None:
        on_step(steps)
        if stop.code:
            raise KeyboardInterrupt

    return after


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def save_fold(done: Fold, path: Path, *remarks: str) -> None:
    """Write a sample, and its trajectory beside it if that was kept; their directory is made.

    Raises:
        MinifoldError: it cannot be written, or the model gave something that is no structure.
    """
    from minifold_core.residues import BACKBONE_ATOMS
    from minifold_core.sample_files import trajectory_paths
    from minifold_core.structures import write_models, write_structure

    target, steps = done.target, done.trajectory
    coords: Tensor = done.coords
    atoms: tuple[str, ...] = ("CA",)
    if done.backbone is not None:
        coords, atoms = done.backbone, BACKBONE_ATOMS
    chain = target.sequence, target.residue_index
    write_structure(
        path,
        coords,
        *chain,
        atoms=atoms,
        sidechain=done.sidechain,
        plddt=None if done.plddt is None else 100 * done.plddt,
        name=path.stem,
        remarks=remarks if done.plddt is None else (*remarks, CONFIDENCE),
    )
    if steps is not None:
        kinds = (STATES, steps.states), (PREDICTIONS, steps.predictions)
        for file, (remark, models) in zip(trajectory_paths(path), kinds, strict=True):
            write_models(file, models, *chain, name=file.stem, remarks=[remark, *remarks])


def with_backbone(done: Fold) -> Fold:
    """A sample with a backbone built onto its Cα trace."""
    import torch

    from minifold_core.geometry.rebuild import rebuild_backbone

    index = done.target.residue_index
    index = torch.arange(len(done.coords)) if index is None else index
    return replace(done, backbone=rebuild_backbone(done.coords, done.target.sequence, index))


def warn_of_untrained(name: str, header: Header) -> None:
    """Tell the user when parts of a model were never trained."""
    from minifold_core.weights.header import RANDOM

    if header.encoder == RANDOM:
        note(f"warning: the frozen encoder of {name} is random (minifold train --encoder-from)")
    if slots := header.untrained:
        note(
            f"warning: {', '.join(slots)} of {name} started fresh, at least in part, when it was "
            "migrated, and nothing was trained since: what depends on that means nothing"
        )


def sampling_settings(
    recipe: Recipe,
    steps: int | None,
    eta: float | None,
    guidance: float | None,
    temperature: float | None = None,
) -> SamplingConfig:
    """The recipe's sampling defaults with the user's choices over them.

    Raises:
        RequestError: a choice is out of range.
    """
    from minifold_core.recipe import validate_section
    from minifold_core.recipe_tree import Leaf

    chosen = {"steps": steps, "eta": eta, "guidance": guidance, "temperature": temperature}
    given = {name: Leaf(v, f"--{name}") for name, v in chosen.items() if v is not None}
    settings = validate_section(recipe.sampling, "sampling", given)
    warn_of_guidance(recipe, [settings])
    return settings


def warn_of_guidance(recipe: Recipe, settings: Iterable[SamplingConfig]) -> None:
    """Tell the user when a setting asks the model for what it never learned."""
    if recipe.training.unconditional == 0 and any(each.guidance != 1 for each in settings):
        note(
            f"warning: {recipe.id} never trained without a sequence (training.unconditional = 0): "
            "what it predicts without one means nothing"
        )
