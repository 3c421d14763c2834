"""``minifold plot`` ramachandran, distances, errors and traces: pictures of sampled structures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.cli.platform import DeviceOption, trimming
from minifold_core.cli.plot_options import (
    ChainsOption,
    CountOption,
    DataOption,
    OutOption,
    choose_chains,
    load_subject,
    picture_path,
)
from minifold_core.cli.sample import (
    AtOnceOption,
    EtaOption,
    GuidanceOption,
    SeedOption,
    SplitOption,
    StepsOption,
    WeightsArgument,
    sampling_settings,
)
from minifold_core.console import progress

if TYPE_CHECKING:
    from minifold_core.data.records import Chain
    from minifold_core.folding import Fold
    from minifold_core.model import FoldModel
    from minifold_core.recipe_schema import SamplingConfig

STEPS, ETA, GUIDANCE = 100, 0.3, 1.5
"""How the published Ramachandran pictures were sampled."""

WHAT = {
    "distances": "Draw native over sampled distances of some chains as one map each, contacts "
    "outlined.",
    "errors": "Draw errors and lDDT of samples along their chains, beside the native helices and "
    "strands.",
    "traces": "Draw samples on their native Cα traces, superimposed, from two sides.",
}


def structures_command(picture: str) -> Callable[..., None]:
    """The command that samples some chains and draws that picture of them."""

    def command(
        weights: WeightsArgument,
        data: DataOption = "demo",
        out: OutOption = None,
        split: SplitOption = "validation",
        chains: ChainsOption = None,
        count: CountOption = None,
        steps: StepsOption = None,
        eta: EtaOption = None,
        guidance: GuidanceOption = None,
        seed: SeedOption = 0,
        device: DeviceOption = "auto",
        as_json: JsonOption = False,
    ) -> None:
        path = picture_path(out, weights, picture)
        dataset, chosen = choose_chains(data, split, chains, count)
        model, about = load_subject(weights, device)
        from minifold_core.plots.sampled import Sampled
        from minifold_core.plots.structures import PICTURES
        from minifold_core.plots.style import save

        settings = sampling_settings(model.recipe, steps, eta, guidance)
        folds = _sample(model, chosen, settings, seed)
        shown = [Sampled.of(chain, folds[chain.name].coords) for chain in chosen]
        about = f"{picture} of samples of {about}; {split} chains of {dataset.file.path.name}"
        save(PICTURES[picture](shown), path, about)
        if as_json:
            rows = [
                {"name": each.chain.name, "residues": len(each), "tm": each.tm, "lddt": each.lddt}
                for each in shown
            ]
            emit_json({"file": str(path), "sampling": settings.model_dump(), "chains": rows})
        else:
            print(f"{picture} of {', '.join(each.chain.name for each in shown)} in {path}")

    return command


def ramachandran(
    weights: WeightsArgument,
    data: DataOption = "demo",
    out: OutOption = None,
    split: SplitOption = "validation",
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps.")] = STEPS,
    eta: EtaOption = ETA,
    guidance: Annotated[
        float | None,
        typer.Option(
            help=f"Guidance weight; default {GUIDANCE}, or 1 where the model never trained "
            "without a sequence."
        ),
    ] = None,
    at_once: AtOnceOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw which angles samples have along the chain, beside native ones and single steps.

    Pseudo-bond angle against pseudo-dihedral of the Cα trace, and φ against ψ for a model that
    places backbones: native chains of the split, samples of them, and what a single step makes of
    the native chains at a tenth of the noise levels. Titles tell the Jensen-Shannon divergence from
    the native chains.
    """
    from minifold_core.data.dataset import open_dataset

    path = picture_path(out, weights, "ramachandran")
    dataset = open_dataset(data)
    chains = list(dataset.subset(split))
    model, about = load_subject(weights, device)
    from minifold_core.plots.ramachandran import (
        AngleSet,
        Structure,
        divergences,
        draw_ramachandran,
        native_structures,
        single_steps,
    )
    from minifold_core.plots.style import save

    if guidance is None:
        guidance = GUIDANCE if model.recipe.training.unconditional else 1
    settings = sampling_settings(model.recipe, steps, eta, guidance)
    folds = _sample(model, chains, settings, seed, at_once)
    with progress("single steps", len(chains)) as advance:
        t, predicted = single_steps(model, chains, trimming(advance))
    sampled = {name: Structure(fold.coords, fold.backbone) for name, fold in folds.items()}
    how = f"sampled: {settings.steps} steps,\nη {settings.eta:g}, "
    sets = [
        AngleSet.of(f"native:\n{len(chains)} {split} chains", chains, native_structures(chains)),
        AngleSet.of(f"{how}guidance {settings.guidance:g}", chains, sampled),
        AngleSet.of(f"single step from the native\nchains noised to t = {t}", chains, predicted),
    ]
    about = f"angles of {about}; {split} chains of {dataset.file.path.name}"
    save(draw_ramachandran(sets), path, about)
    rows = divergences(sets)
    if as_json:
        result = {"file": str(path), "chains": len(chains), "sampling": settings.model_dump()}
        emit_json(result | {"sets": rows})
    else:
        found = f"{rows[1]['pseudo_jsd']:.3f} bits sampled, {rows[2]['pseudo_jsd']:.3f} single step"
        print(f"angles of {len(chains)} chains in {path}: divergence from native {found}")


def _sample(
    model: FoldModel,
    chains: Sequence[Chain],
    settings: SamplingConfig,
    seed: int,
    at_once: int | None = None,
) -> dict[str, Fold]:
    """A sample of each chain, by name.

    Raises:
        RequestError: the model has no denoiser, or its process fewer levels than there are steps.
    """
    from minifold_core.folding import Target, fold, steps_of
    from minifold_core.training.objective import build_process

    build_process(model.recipe).trajectory(settings.steps)
    targets = [Target.of(chain) for chain in chains]
    device = next(model.parameters()).device
    with progress("sampling", steps_of(targets, settings, at_once=at_once)) as advance:
        folds = fold(
            model,
            targets,
            settings,
            seed=seed,
            device=device,
            at_once=at_once,
            on_step=trimming(advance),
        )
        return {done.target.name: done for done in folds}
