"""Any mix of parts fits, or is refused in a sentence that names a way out; what fits trains."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from minifold_core.assembly import assemble, wire
from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.discovery import find_components
from minifold_core.errors import RequestError
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.training.objective import Objective
from minifold_core.training.optim import build_optimizer


def names(kind: str) -> list[str]:
    return sorted(key.partition("/")[2] for key in find_components().items if key.startswith(kind))


DENOISERS, STACKS, LOSSES = names("denoiser/"), names("pair_stack/"), names("loss/")
SCALES = ("fixed", "rg")
TRUNKS = list(itertools.product(DENOISERS, STACKS, STACKS, SCALES))


def mix(denoiser: str, stack: str, aux: str, scale: str, losses: list[str], head: bool) -> Recipe:
    """v13 at nano size with other parts, the losses named, and perhaps the backbone head."""
    values = {f"losses.{name}.weight": float(name in losses) for name in LOSSES}
    values |= {"coordinates.scale": scale}
    values |= {"heads.backbone.component": "backbone"} if head else {}
    values |= {"heads.classes.component": "binned_distance", "heads.cath.component": "cath"}
    swaps = {"denoiser": denoiser, "pair_stack": stack, "aux_pair_stack": aux}
    return load_recipe("v13", "nano", swaps, values)


def test_every_mix_fits_or_is_refused_with_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    fits = refused = 0
    for (denoiser, stack, aux, scale), loss, head in itertools.product(
        TRUNKS, LOSSES, (False, True)
    ):
        try:
            wire(mix(denoiser, stack, aux, scale, [loss], head))
            fits += 1
        except RequestError as error:
            refused += 1
            said = str(error)
            assert " needs port '" in said
            assert ". Use " in said
            assert "\n" not in said
    assert fits
    assert refused
    with capsys.disabled():
        print(
            f"\ncombinations: {fits + refused} checked, {fits} fit, {refused} refused; "
            f"{len(TRUNKS)} trunks trained with every loss that fits"
        )


@pytest.fixture(scope="module")
def short_batch() -> ProteinBatch:
    return collate(sorted(open_dataset(), key=lambda chain: len(chain.sequence))[:2])


@pytest.mark.parametrize(("denoiser", "stack", "aux", "scale"), TRUNKS)
def test_what_fits_trains(
    denoiser: str, stack: str, aux: str, scale: str, short_batch: ProteinBatch
) -> None:
    """One optimizer step with every loss that fits: forward, backward, finite gradients."""
    head = denoiser == "ipa"
    losses = [name for name in LOSSES if _fits(denoiser, stack, aux, scale, name, head)]
    torch.manual_seed(0)
    model = assemble(mix(denoiser, stack, aux, scale, losses, head)).train()
    objective, optimizer = Objective.of(model.recipe), build_optimizer(model, model.recipe.training)
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    noised = objective.noised(short_batch, generators)
    features = objective.predict(model, short_batch, noised, self_condition=True)
    terms = objective.terms(features, short_batch)
    assert set(terms) == set(losses)
    total = objective.total(terms, 1).sum()
    total.backward()
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
    assert math.isfinite(float(total.detach()))
    assert all(g is not None and g.isfinite().all() for g in gradients)
    optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())


def _fits(denoiser: str, stack: str, aux: str, scale: str, loss: str, head: bool) -> bool:
    try:
        wire(mix(denoiser, stack, aux, scale, [loss, "rg"], head))
    except RequestError:
        return False
    return True
