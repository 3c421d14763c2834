"""What a training reads: its recipe, data and first weights, checked as far as any machine can.

``minifold train`` begins with it; ``minifold slurm`` does the same before there is a job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from minifold_core.cli.embeddings import open_embeddings, widths_in_file
from minifold_core.cli.migration_table import migration_table
from minifold_core.console import note
from minifold_core.errors import ProtectedError, RequestError

if TYPE_CHECKING:
    from minifold_core.data.dataset import PackedDataset
    from minifold_core.data.embeddings import EmbeddingFile
    from minifold_core.recipe import Recipe
    from minifold_core.weights.file import WeightsFile
    from minifold_core.weights.initial import Migration
    from minifold_core.weights.io import SlotWeights


@dataclass(frozen=True)
class Inputs:
    """What is trained on what.

    Attributes:
        recipe: of the model, as wide as its embeddings, without losses that have nothing to learn.
        dataset: the chains, with their embeddings.
        embedded: the file of those, for a recipe that reads some.
    """

    recipe: Recipe
    dataset: PackedDataset
    embedded: EmbeddingFile | None


def read_inputs(
    version: str,
    size: str,
    components: Sequence[str] | None,
    values: Sequence[str] | None,
    data: str,
    embeddings: Path | None,
) -> Inputs:
    """Read recipe and data, and say what is unusual about them; arguments are those of ``train``.

    Raises:
        RequestError: the recipe is wrong, its parts do not fit, or data or embeddings cannot be
            read or are not for it.
    """
    from minifold_core.data.dataset import DEMO, open_dataset
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import parse_assignments

    swaps = {k: str(v) for k, v in parse_assignments(components or [], "--with").items()}
    changes = parse_assignments(values or [], "--set")
    recipe = load_recipe(version, size, swaps, changes)
    embedded = open_embeddings(recipe, embeddings)
    if widths := widths_in_file(recipe, embedded):
        changes |= widths
        recipe = load_recipe(version, size, swaps, changes)
    dataset = open_dataset(data).with_embeddings(embedded, ("train", "validation"))
    if unlabelled := _unlabelled_losses(recipe, dataset.subset("train")):
        note(f"{', '.join(unlabelled)} off: no training chain of {data} has a CATH label")
        off = {f"losses.{name}.weight": 0.0 for name in unlabelled}
        recipe = load_recipe(version, size, swaps, changes | off)
    _check_wiring(recipe)
    if data == DEMO:
        note(f"data: the {dataset}; choose your own with --data")
    if not dataset.splits["validation"]:
        note("warning: no validation chains; the best weights are chosen by the training loss")
    return Inputs(recipe, dataset, embedded)


def read_start(
    recipe: Recipe,
    init_from: Path | None,
    allow_mismatch: bool,
    carry_optimizer: bool,
    encoder_from: str | None,
) -> tuple[SlotWeights | Literal["random"] | None, Migration | None]:
    """What the model begins with instead of its usual weights: for its encoder, and by migration.

    Arguments are those of ``train``.

    Raises:
        RequestError: options do not go together, or weights cannot be read.
        ProtectedError: weights do not fit.
    """
    from minifold_core.training.state import check_state_beside
    from minifold_core.weights.file import open_weights
    from minifold_core.weights.header import RANDOM

    for option, given in {
        "--allow-mismatch": allow_mismatch,
        "--carry-optimizer": carry_optimizer,
    }.items():
        if given and init_from is None:
            raise RequestError(f"{option} goes with --init-from: give that, or leave it out")
    file = open_weights(init_from) if init_from else None
    if carry_optimizer and file:
        check_state_beside(file)
    encoder = None if encoder_from is None else _encoder(recipe, encoder_from)
    migration = _plan(recipe, file, allow_mismatch, encoder_from) if file else None
    if migration and encoder == RANDOM and "encoder" in migration.plan.carried:
        raise RequestError("--init-from carries the encoder over; leave --encoder-from random out")
    return encoder, migration


def _unlabelled_losses(recipe: Recipe, train_set: PackedDataset) -> list[str]:
    """Losses that would have nothing to learn from chains without a CATH label."""
    if train_set.has_cath:
        return []
    return [
        name
        for name, term in recipe.active_losses.items()
        if "truth.cath" in {port.name for port in term.config.needs()}
    ]


def _check_wiring(recipe: Recipe) -> None:
    """Check that the parts fit, and say which of them serve nothing."""
    from minifold_core.assembly import wire
    from minifold_core.port_advice import losses_for

    wiring = wire(recipe)
    for slot in wiring.idle:
        would = losses_for(recipe, wiring, slot)
        way = f"--set losses.{would[0]}.weight=0.1" if would else ""
        helps = f"; {' or '.join(would)} would train it ({way})" if would else ", nor would another"
        note(f"warning: {slot} is not trained: no active loss depends on it{helps}")
    for slot, ports in wiring.unused.items():
        note(f"warning: nothing that trains reads {', '.join(ports)} of {slot}")


def _encoder(recipe: Recipe, encoder_from: str) -> SlotWeights | Literal["random"]:
    """The weights of the encoder that the user chose.

    Raises:
        RequestError: there are none.
        ProtectedError: they do not fit.
    """
    from minifold_core.weights.header import RANDOM
    from minifold_core.weights.io import open_slot
    from minifold_core.weights.structure import Structure

    if encoder_from == RANDOM:
        return RANDOM
    if "encoder" not in recipe.slots:
        raise RequestError(f"--encoder-from: {recipe.id} has no encoder; leave it out")
    own = Structure.of_recipe(recipe).slots["encoder"]
    try:
        return open_slot(recipe, "encoder", encoder_from, own)
    except ProtectedError as error:
        usual = recipe.slots["encoder"].init_from
        way = f", or give weights of {usual} ({recipe.size})" if usual else ""
        raise ProtectedError(
            f"--encoder-from {encoder_from}: {error}; leave --encoder-from out{way}"
        ) from None


def _plan(
    recipe: Recipe, file: WeightsFile, allow_mismatch: bool, encoder_from: str | None
) -> Migration:
    """Plan what carries over from a file, show it, and read its tensors.

    Raises:
        ProtectedError: the plan does not hold; nothing was changed.
    """
    from rich.console import Console

    from minifold_core.weights.header import RANDOM
    from minifold_core.weights.initial import Migration
    from minifold_core.weights.plan import plan_migration
    from minifold_core.weights.report import Report
    from minifold_core.weights.structure import Structure

    file.check_hash()
    source, target = Structure.of_file(file), Structure.of_recipe(recipe)
    if source.size and source.size != recipe.size:
        note(f"warning: the file is of size '{source.size}', the model '{recipe.size}' (--size)")
    other = {"encoder": f"it comes from {encoder_from} (--encoder-from)"}
    elsewhere = other if encoder_from not in (None, RANDOM) else None
    plan = plan_migration(source, target, allow_mismatch, elsewhere)
    report = Report.of(plan, file)
    Console(stderr=True).print(migration_table(report))
    plan.check()
    return Migration(file, plan, report, file.load())
