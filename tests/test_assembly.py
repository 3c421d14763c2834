"""Assembly: ports are checked before anything is built, and a refusal says what would help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from minifold_core import discovery
from minifold_core.assembly import assemble, wire
from minifold_core.catalogue import list_models
from minifold_core.components import ComponentConfig, ComponentSpec
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.discovery import Offer, Origin, find_versions
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.interfaces import Features
from minifold_core.manifest import build_manifest, dump_manifest
from minifold_core.port_advice import losses_for
from minifold_core.ports import CONFIDENCE_PORT, Port
from minifold_core.recipe import load_recipe
from minifold_core.recipe_tree import read_source


class WideConfig(ComponentConfig):
    """A head that insists on a width that no encoder here has."""

    def needs(self) -> tuple[Port, ...]:
        return (Port("single", "B,L,d", width=7),)

    def gives(self) -> tuple[Port, ...]:
        return (Port("log_rg", "B"),)


class NativeConfig(ComponentConfig):
    """An encoder for models that are given the backbone, as packers are."""

    def needs(self) -> tuple[Port, ...]:
        return (Port("given_backbone", "B,L,4,3", width=3),)

    def gives(self) -> tuple[Port, ...]:
        return (Port("single", "B,L,d", width=8), Port("backbone", "B,L,4,3", width=3))


@pytest.fixture
def native_encoder(fresh_discovery: None) -> None:
    """An encoder that fits no model with a denoiser."""
    spec = ComponentSpec("encoder", "native", f"{__name__}:NativeConfig", "none:None", "")
    offer = Offer(spec, Origin("native", __name__, "test", "1"))
    discovery.find_components().items["encoder/native"] = offer


@pytest.fixture
def wide_head(fresh_discovery: None) -> None:
    """A head that fits nowhere."""
    spec = ComponentSpec("head", "wide", f"{__name__}:WideConfig", "none:None", "")
    offer = Offer(spec, Origin("wide", __name__, "test", "1"))
    discovery.find_components().items["head/wide"] = offer


def refusal(**changes: dict) -> str:
    with pytest.raises(RequestError) as caught:
        wire(load_recipe("v13", **changes))
    return str(caught.value)


def test_a_missing_port_is_refused_with_what_would_give_it() -> None:
    assert refusal(components={"denoiser": "egnn"}) == (
        "fape and frame_rot need port 'rotations'; denoiser 'egnn' gives coords. "
        "Use --with denoiser=ipa, or --with denoiser=transformer, "
        "or --set losses.fape.weight=0 --set losses.frame_rot.weight=0"
    )
    off = {"losses.frame_rot.weight": 0}
    assert refusal(components={"denoiser": "egnn"}, values=off) == (
        "fape needs port 'rotations'; denoiser 'egnn' gives coords. "
        "Use --with denoiser=ipa, or --with denoiser=transformer, or --set losses.fape.weight=0"
    )
    two = refusal(components={"denoiser": "egnn"}, values={"losses.bb_bond.weight": 1})
    assert [line.partition(" need")[0] for line in two.splitlines()] == [
        "fape and frame_rot",
        "bb_bond",
    ]


def test_only_what_can_be_typed_and_fits_is_suggested(native_encoder: None) -> None:
    """Of two givers of ``backbone``, one is fed the native backbone, which is not there."""
    said = refusal(values={"losses.bb_bond.weight": 1})
    flag, off = "--with heads.backbone=backbone", "--set losses.bb_bond.weight=0"
    assert said == f"bb_bond needs port 'backbone'. Use {flag}, or {off}"
    slot, _, name = flag.removeprefix("--with ").partition("=")
    wire(load_recipe("v13", components={slot: name}, values={"losses.bb_bond.weight": 1}))
    taken = {"heads.binned_distance.component": "backbone", "losses.aux_distogram.weight": 1}
    assert "Use --with heads.binned_distance2=binned_distance, or" in refusal(values=taken)


def test_a_slot_that_nothing_trains_comes_with_the_losses_that_would() -> None:
    recipe = load_recipe("v14", values={"losses.aux_dist.weight": 0})
    wiring = wire(recipe)
    assert set(wiring.idle) == {"aux_pair_stack", "heads.distance"}
    for slot in wiring.idle:  # what the head reads is trained by the head's loss too
        assert losses_for(recipe, wiring, slot) == ["aux_dist"]
        again = wire(load_recipe("v14", values={"losses.aux_dist.weight": 0.1}))
        assert slot not in again.idle


def _narrower(given: Features) -> object:
    return given | {"single": given["single"][..., :-1]}


def _flat(given: Features) -> object:
    return given | {"single": given["single"].mean(1)}


def _longer(given: Features) -> object:
    return given | {"single": given["single"].repeat(1, 2, 1)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda given: {"contacts": given["contacts"]},
            "declares port 'single' and gives 'contact",
        ),
        (
            _narrower,
            "declares port 'single[B,L,d]', 64 wide, and gives [2, 32, 63] for a batch of 2",
        ),
        (_flat, "and gives [2, 64] for a batch of 2 with 32 residues"),
        (_longer, "and gives [2, 64, 64] for a batch"),
        (lambda given: given["single"], "returns a Tensor, and not a dict of ports"),
    ],
)
def test_who_gives_another_shape_than_it_declares_is_named(
    spoil: Callable[[Features], object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = assemble("v13", "nano")
    batch = collate([chain for chain in open_dataset() if len(chain) <= 32][:2])
    model.trunk(batch)
    encoder = model.part("encoder")
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda **ports: spoil(forward(**ports)))
    with pytest.raises(MinifoldError) as caught:
        model.trunk(batch)
    assert str(caught.value).startswith("encoder 'contact' of plugin contact (minifold ")
    assert said in str(caught.value)


def test_sizes_by_rg_need_a_head_that_predicts_it() -> None:
    said = refusal(values={"coordinates.scale": "rg", "heads.rg.component": "ordinal_distance",
                           "heads.rg.reads": "pair", "losses.rg.weight": 0,
                           "heads.distance.component": "backbone"})  # fmt: skip
    assert "coordinates.scale = rg needs port 'log_rg'" in said
    assert "--set coordinates.scale=fixed" in said


def test_sizes_by_rg_need_a_head_that_learns_it() -> None:
    said = refusal(values={"coordinates.scale": "rg", "losses.rg.weight": 0})
    assert said.endswith("Use --set losses.rg.weight=0.5, or --set coordinates.scale=fixed")


def test_parts_agree_on_the_spread_of_the_data() -> None:
    spreads = {
        f"{where}.sigma_data": 16.0 for where in ("process", "denoiser", "losses.aligned_mse")
    }
    wire(load_recipe("v15", values=spreads))
    with pytest.raises(RequestError) as caught:
        wire(load_recipe("v15", values={"process.sigma_data": 16.0}))
    assert str(caught.value) == (
        "the spread of the data differs: denoiser.sigma_data = 8.4, process.sigma_data = 16, "
        "losses.aligned_mse.sigma_data = 8.4. Use --set to make them equal"
    )


def test_losses_switched_off_need_no_ports() -> None:
    off = {"losses.fape.weight": 0, "losses.frame_rot.weight": 0}
    wiring = wire(load_recipe("v13", components={"denoiser": "egnn"}, values=off))
    assert wiring.idle == ()


def test_a_slot_names_the_port_that_it_lacks() -> None:
    said = refusal(
        values={"heads.extra.component": "ordinal_distance", "heads.extra.reads": "pair"}
    )
    assert said.startswith("port 'distance_logits' is given twice")


def test_widths_that_disagree_are_refused(wide_head: None) -> None:
    said = refusal(components={"heads.rg": "wide"})
    assert said == "heads.rg 'wide' needs port 'single' 7 wide; it is given 128 wide"


class SureConfig(ComponentConfig):
    """A loss or a metric that wants samples to be thought right."""

    def needs(self) -> tuple[Port, ...]:
        return (CONFIDENCE_PORT,)


def test_finished_structures_are_there_in_sampling_alone(fresh_discovery: None) -> None:
    made = Origin("mine", __name__, "test", "1")
    offers = discovery.find_components().items
    for kind in ("loss", "metric"):
        spec = ComponentSpec(kind, "sure", f"{__name__}:SureConfig", "none:None", "")
        offers[f"{kind}/sure"] = Offer(spec, made)
    wanted = "needs port 'plddt', of a finished structure: there is one in sampling alone"
    for value, who, way in (
        ({"losses.sure.weight": 1.0}, "sure", ". Use --set losses.sure.weight=0"),
        ({"metrics.sure.component": "sure"}, "metrics.sure 'sure'", ", for heads to judge"),
    ):
        with pytest.raises(RequestError) as caught:
            wire(load_recipe("v15", values=value))
        assert str(caught.value) == f"{who} {wanted}{way}"

    judging = ("broken_configs:JudgingHeadConfig", "broken_components:JudgingHead")
    offers["head/judging"] = Offer(ComponentSpec("head", "judging", *judging, ""), made)
    swap = {"heads.judging": "judging"}
    with pytest.raises(RequestError, match=r"weights to train .*--set heads\.judging\.frozen=true"):
        assemble("v15", "nano", swap)
    frozen = assemble("v15", "nano", swap, {"heads.judging.frozen": True})
    assert frozen.wiring.idle == ()
    assert [s.slot.path for s in frozen.wiring.steps if s.finished] == [
        "heads.confidence",
        "heads.judging",
    ]


def test_a_port_that_nothing_reads_and_a_slot_that_nothing_trains_are_known() -> None:
    off = {"losses.fape.weight": 0, "losses.frame_rot.weight": 0, "losses.aux_dist.weight": 0}
    wiring = wire(load_recipe("v13", values=off))
    assert wiring.unused["denoiser"] == ("rotations",)
    assert set(wiring.idle) == {"aux_pair_stack", "heads.distance"}
    assert wire(load_recipe("v13")).idle == ()
    assert wire(load_recipe("v13")).unused == {}


def test_v11_threw_its_rotations_away_and_the_general_check_sees_it() -> None:
    assert wire(load_recipe("v11")).unused == {"denoiser": ("rotations",)}
    for version in ("v11b", "v12"):
        assert wire(load_recipe(version)).unused == {}


def test_what_the_sampler_needs_is_the_main_trunk_alone() -> None:
    assert wire(load_recipe("v13")).needed_for(["single", "pair"]) == {"encoder", "pair_stack"}


@pytest.mark.parametrize(
    "version", [n for n, p in find_versions().items.items() if p.origin.distribution == "minifold"]
)
def test_manifests_are_what_the_code_builds(version: str) -> None:
    package = find_versions().items[version]
    manifest = build_manifest(version, read_source(version).sizes)
    there = (package.directory / "manifest.json").read_text(encoding="utf-8")
    assert dump_manifest(manifest) == there, "run python scripts/build_manifests.py"


@pytest.mark.parametrize(
    ("version", "total", "trainable", "slots"),
    [
        ("v10", 14.6e6, 13.4e6, {"encoder": 1.2e6}),
        ("v11b", 8.4e6, 7.2e6, {"encoder": 1.2e6}),
        ("v12", 31.1e6, 29.9e6, {"encoder": 1.2e6, "denoiser": 28.5e6}),
        ("v12b", 31.1e6, 29.9e6, {"encoder": 1.2e6, "denoiser": 28.5e6}),
        ("v13", 36.5e6, None, {"encoder": 1.2e6, "denoiser": 28.5e6}),
        ("v14", 37.5e6, None, {"encoder": 1.2e6, "denoiser": 28.5e6}),
    ],
)
def test_parameter_counts_meet_the_published_ones(
    version: str, total: float, trainable: float | None, slots: dict[str, float]
) -> None:
    (row,) = list_models([version])
    # The source gives v13 and v14 as ranges, 35-38 M and 35-40 M.
    assert row["parameters"] == pytest.approx(total, rel=0.03 if trainable else 1 - 35e6 / total)
    if trainable:
        assert row["trainable_parameters"] == pytest.approx(trainable, rel=0.03)
    with torch.device("meta"):
        counts = assemble(version).parameter_counts()
    for slot, expected in slots.items():
        assert counts[slot][0] == pytest.approx(expected, rel=0.03)


def test_v12_pair_stack_and_aux_stack_are_the_published_size() -> None:
    with torch.device("meta"):
        counts = assemble("v12").parameter_counts()
    assert counts["pair_stack"][0] <= 0.9e6
    assert counts["aux_pair_stack"][0] == pytest.approx(0.5e6, rel=0.1)


def test_state_dict_names_begin_with_slots() -> None:
    with torch.device("meta"):
        names = assemble("v13", "nano").state_dict()
    slots = (
        "encoder.",
        "pair_stack.",
        "aux_pair_stack.",
        "denoiser.",
        "heads.rg.",
        "heads.distance.",
    )
    assert all(name.startswith(slots) for name in names)


def test_python_offers_what_the_command_line_does_and_loads_lazily() -> None:
    code = (
        "import sys, minifold_core as m\n"
        "assert not {'torch', 'pydantic', 'typer'} & set(sys.modules)\n"
        "assert [r['id'] for r in m.list_models(['v13'])] == ['v13']\n"
        "assert 'torch' not in sys.modules\n"
        "assert m.assemble('v13', size='nano').recipe.size == 'nano'\n"
        "assert m.__version__ and set(dir(m)) == set(m.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
