"""What --verify proves: every slot gets all that it reads, and no weight escapes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from minifold_core import discovery, placing
from minifold_core.assembly import assemble
from minifold_core.components import ComponentConfig, ComponentSpec
from minifold_core.discovery import Offer, Origin, find_versions
from minifold_core.errors import ProtectedError
from minifold_core.interfaces import Features, Head
from minifold_core.model import FoldModel
from minifold_core.ports import DATA_PORTS, Port
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.testing import perturb
from minifold_core.units import MODEL_UNIT
from minifold_core.weights.apply import apply
from minifold_core.weights.file import WeightsFile, open_weights
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.structure import Structure
from minifold_core.weights.verify import verify
from sidechain_configs import PACKER
from weights_files import save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
EMBEDDINGS = ["--with", "encoder=embeddings", "--set", "encoder.d_embedding=12"]
VERSIONS = [n for n, p in find_versions().items.items() if p.origin.distribution == "minifold"]


class Moved(NamedTuple):
    """A model with the weights of a file that holds one of its own kind."""

    plan: Plan
    file: WeightsFile
    model: FoldModel

    def proven(self) -> list[str]:
        return verify(self.plan, self.file, self.file.load(), self.model)


def embedded() -> Recipe:
    values = {"encoder.d_embedding": 12}
    return load_recipe("v15", "nano", {"encoder": "embeddings"}, values)


def moved(recipe: Recipe, directory: Path) -> Moved:
    torch.manual_seed(7)
    origin = assemble(recipe)
    perturb(origin)  # a fresh denoiser answers with what it is given
    file = open_weights(save(directory / "own.safetensors", origin))
    model = assemble(recipe)
    plan = plan_migration(Structure.of_file(file), Structure.of_recipe(recipe))
    apply(plan, file.load(), model)
    return Moved(plan, file, model)


@pytest.mark.parametrize("name", VERSIONS)
def test_every_version_proves_all_of_itself(name: str, tmp_path: Path) -> None:
    own = moved(load_recipe(name, "nano"), tmp_path)
    with_tensors = [path for path, tensors in own.plan.target.slots.items() if tensors]
    assert own.proven() == [
        s.slot.path for s in own.model.wiring.steps if s.slot.path in with_tensors
    ]


@pytest.mark.parametrize(
    ("source", "target", "fresh"),
    [
        (["v15"], ["v15"], set()),
        (["v15"], ["v15-ipa", "--allow-mismatch"], {"denoiser"}),
        (["v15", *EMBEDDINGS], ["v15", *EMBEDDINGS], set()),
    ],
    ids=["v15", "v15-ipa", "embeddings"],
)
def test_models_that_judge_or_read_embeddings_are_proven(
    source: list[str],
    target: list[str],
    fresh: set[str],
    tmp_path: Path,
    minifold: Minifold,
) -> None:
    recipe = embedded() if EMBEDDINGS[0] in source else load_recipe("v15", "nano")
    path = save(tmp_path / "from.safetensors", assemble(recipe))
    out = tmp_path / "to.safetensors"
    done = minifold("migrate", path, "--to", *target, "--out", out, "--verify", "--json")
    assert done.returncode == 0, done.stderr
    verified = json.loads(done.stdout)["verified"]
    assert set(verified) == set(recipe.slots) - fresh - {"heads.confidence"}  # has no weights
    assert {"encoder", "heads.backbone"} <= set(verified)
    assert out.exists()


@pytest.mark.parametrize(
    ("make", "slot", "tensor"),
    [
        (lambda: load_recipe("v15", "nano"), "denoiser", "previous.weight"),
        (embedded, "encoder", "project.1.weight"),
        (embedded, "encoder", "hidden"),
    ],
    ids=["previous prediction", "embeddings", "hidden residue"],
)
def test_a_weight_that_only_one_port_reaches_is_proven(
    make: Callable[[], Recipe], slot: str, tensor: str, tmp_path: Path
) -> None:
    own = moved(make(), tmp_path)
    assert slot in own.proven()
    with torch.no_grad():
        own.model.state_dict()[f"{slot}.{tensor}"].mul_(1.01)
    with pytest.raises(ProtectedError, match=f"--verify: {slot} computes another"):
        own.proven()


def offer(monkeypatch: pytest.MonkeyPatch, *specs: ComponentSpec) -> None:
    for spec in specs:
        made = Offer(spec, Origin("parts", spec.implementation.split(":")[0], "test", "1"))
        components = discovery.find_components().items
        monkeypatch.setitem(components, f"{spec.kind}/{spec.name}", made)


def test_a_backbone_that_is_given_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_discovery: None
) -> None:
    config, part = "sidechain_configs", "sidechain_parts"
    offer(
        monkeypatch,
        ComponentSpec("encoder", "given", f"{config}:GivenConfig", f"{part}:GivenEncoder", "-"),
        ComponentSpec("head", "atoms", f"{config}:AtomsConfig", f"{part}:AtomsHead", "-"),
        ComponentSpec("loss", "atoms", f"{config}:AtomsLossConfig", f"{part}:AtomsLoss", "-"),
    )
    (tmp_path / "packer.toml").write_text(PACKER)
    own = moved(load_recipe(tmp_path / "packer.toml"), tmp_path)
    seen: list[dict[str, Tensor]] = []
    own.model.part("encoder").register_forward_pre_hook(
        lambda module, unnamed, ports: seen.append(ports), with_kwargs=True
    )
    assert own.proven() == ["encoder"]
    (ports,) = seen
    assert ports["given_backbone"].shape == (*ports["tokens"].shape, 4, 3)
    assert ports["given_backbone"].abs().amax() > MODEL_UNIT
    assert ports["given_backbone_mask"].dtype == torch.bool


class NewPortConfig(ComponentConfig):
    """Needs a port that the core does not have yet, and can do without one of the denoiser's."""

    def needs(self) -> tuple[Port, ...]:
        return (Port("novel", "B,L,n", width=5), Port("coords_t", "B,L,3", width=3, optional=True))

    def gives(self) -> tuple[Port, ...]:
        return (Port("guess", "B,L,g", width=1),)


class NewPortHead(Head):
    def __init__(self, config: NewPortConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.guess = nn.Linear(5, 1)

    def forward(self, *, novel: Tensor, coords_t: Tensor | None) -> Features:
        assert coords_t is None
        return {"guess": self.guess(novel)}


def test_a_port_that_is_added_later_is_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_discovery: None
) -> None:
    monkeypatch.setattr(placing, "DATA_PORTS", (*DATA_PORTS, Port("novel", "B,L,n")))
    kind = f"{__name__}:NewPortConfig", f"{__name__}:NewPortHead"
    offer(monkeypatch, ComponentSpec("head", "new_port", *kind, "-"))
    own = moved(load_recipe("v15", "nano", {"heads.new": "new_port"}), tmp_path)
    assert "heads.new" in own.proven()
    with torch.no_grad():
        own.model.state_dict()["heads.new.guess.weight"].mul_(1.01)
    with pytest.raises(ProtectedError, match=r"heads\.new computes another 'guess'"):
        own.proven()
