"""``minifold diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import check_out, emit_json, say, show
from minifold_core.cli.platform import MAX_SEED, DeviceOption, choose_device, trimming
from minifold_core.cli.sample import SplitOption, WeightsArgument, warn_of_untrained
from minifold_core.console import note, progress
from minifold_core.results import write_json


def diagnose(
    weights: WeightsArgument,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    split: SplitOption = "validation",
    chains: Annotated[int, typer.Option(min=1, help="How many chains at most.")] = 16,
    out: Annotated[
        Path | None, typer.Option(help="Directory for diagnosis.json and diagnosis.png.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of the noise and the chains.")
    ] = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Show which slot takes the gradient, which losses agree, and where the loss is.

    Gradients of every loss term on every slot, what clipping leaves of them, cosines between the
    terms, the loss in each quarter of the noise levels, and the share of open frame gates.
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.training.diagnose import diagnose_training
    from minifold_core.training.diagnose_tables import tables, verdict
    from minifold_core.training.randomness import number
    from minifold_core.weights.io import load_model

    check_out(out)
    model, header = load_model(weights)
    warn_of_untrained(str(weights), header)
    dataset = open_dataset(data)
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    there = dataset.subset(split)
    rows = sorted(range(len(there)), key=lambda i: number(seed, "chain", there.names[i]))
    chosen = [there[row] for row in sorted(rows[:chains])]
    model = model.to(choose_device(device))
    with progress("diagnosing", len(chosen)) as advance:
        found = diagnose_training(model, chosen, seed, trimming(advance))
    about = {"weights": str(weights), "model": model.recipe.id, "size": model.recipe.size}
    result = about | {"step": header.step, "data": data, "split": split} | found.to_dict()
    if out is not None:
        from minifold_core.plots.diagnose import draw_diagnosis
        from minifold_core.plots.style import save

        words = f"{model.recipe.id} ({model.recipe.size}), step {header.step}"
        words += f"; {len(chosen)} {split} chains of {data}"
        write_json(out / "diagnosis.json", result)
        save(draw_diagnosis(found, words), out / "diagnosis.png", f"training diagnosis of {words}")
        note(f"results: {out}")
    if as_json:
        emit_json(result)
        return
    for table in tables(found):
        show(table)
    say(verdict(found))
