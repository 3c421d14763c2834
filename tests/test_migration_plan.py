"""Migration plans: all pairs of versions, what versions declare, and what no rule explains."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from migration_helpers import edited, planned, structure
from minifold_core.catalogue import components_of, natural
from minifold_core.discovery import find_versions, version_package
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.manifest import read_manifest
from minifold_core.recipe import load_recipe
from minifold_core.recipe_tree import read_source
from minifold_core.weights import lineage
from minifold_core.weights.lineage import Route, read_step
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.structure import Structure, slot_of
from minifold_core.weights.verdicts import CARRIED

VERSIONS = sorted(
    (n for n, p in find_versions().items.items() if p.origin.distribution == "minifold"),
    key=natural,
)
SIZES = ("full", "nano")
TRUNK = ("encoder", "aux_pair_stack", "heads.rg", "heads.distance")


def shapes_by_slot(version: str, size: str) -> dict[str, dict[str, list[int]]]:
    """Straight from the manifest."""
    table = read_manifest(version_package(version).directory)["sizes"][size]
    slots: dict[str, dict[str, list[int]]] = {}
    for name, shape in table["tensors"].items():
        slots.setdefault(slot_of(name), {})[name] = shape
    return slots


@pytest.mark.parametrize("size", SIZES)
def test_every_ordered_pair_is_planned_or_refused_in_words(size: str) -> None:
    assert len(VERSIONS) >= 9
    for source, target in itertools.permutations(VERSIONS, 2):
        made = planned(source, target, size)
        each = Counter(entry.source for entry in made.entries if entry.source)
        assert each == Counter(list(made.source.tensors)), (source, target)
        each = Counter(entry.target for entry in made.entries if entry.target)
        assert each == Counter(list(made.target.tensors)), (source, target)
        assert not [entry for entry in made.entries if entry.verdict == "unexplained"]
        assert all(e.why for e in made.entries if e.verdict not in CARRIED)
        assert all(expectation.met for expectation in made.expectations)
        ours, theirs = (shapes_by_slot(version, size) for version in (source, target))
        have, want = (components_of(read_source(version)) for version in (source, target))
        same = {s for s in theirs if have.get(s) == want[s] and ours.get(s) == theirs[s]}
        assert set(made.carried) == same, (source, target)
        made_for_it = "denoiser" not in ours and made.expectations  # such as v15-pre for v15
        fresh_denoiser = "denoiser" in theirs and "denoiser" not in same and not made_for_it
        refused = not same or fresh_denoiser
        assert bool(made.faults) == refused, (source, target)
        if refused:
            said = r"trunk only: .* the denoiser does not: " if same else "nothing carries over"
            with pytest.raises(ProtectedError, match=said):
                made.check()


def fresh(made: Plan) -> set[str]:
    return {e.slot for e in made.entries if e.target and e.verdict not in CARRIED}


@pytest.mark.parametrize("size", SIZES)
def test_the_published_claims(size: str) -> None:
    denoising = {*TRUNK, "denoiser"}
    v13 = planned("v12b", "v13", size)
    assert {e.slot for e in v13.expectations} == denoising
    assert (set(v13.carried), fresh(v13)) == (denoising, {"pair_stack"})
    v14 = planned("v13", "v14", size)
    assert {e.slot for e in v14.expectations} == {*denoising, "pair_stack"}
    assert fresh(v14) == {"heads.backbone"}
    assert fresh(planned("v12b", "v14", size)) == {"pair_stack", "heads.backbone"}
    for source, target in (("v11", "v11b"), ("v12", "v12b")):
        assert set(planned(source, target, size).carried) == {*denoising, "pair_stack"}
    pre = planned("v15-pre", "v15", size)
    assert not pre.faults
    assert set(pre.carried) == {e.slot for e in pre.expectations} >= {"encoder", "pair_stack"}
    assert fresh(pre) == {"denoiser", "heads.backbone"}
    down = planned("v14", "v13", size)
    assert not down.faults
    assert {e.slot for e in down.entries if e.verdict == "dropped"} == {"heads.backbone"}
    for source, target, why in (("v11b", "v12", "v12: wider"), ("v10", "v11", "egnn → ipa")):
        (fault,) = planned(source, target, size).faults
        assert fault.what.startswith("trunk only: encoder, pair_stack, ")
        assert why in fault.what
        assert "--allow-mismatch" in fault.mend
        assert "--encoder-from" in fault.mend


@pytest.mark.parametrize("version", VERSIONS)
def test_lineage_speaks_of_every_slot_and_tells_the_truth(version: str) -> None:
    parents = read_source(version).lineage[-2:-1]
    step = read_step(version)
    if not parents:
        assert step is None
        return
    assert step is not None
    old, new = ({size: shapes_by_slot(v, size) for size in SIZES} for v in (*parents, version))
    slots = {*old["full"], *new["full"]}
    assert sorted([*step.exact, *step.changed]) == sorted(slots)
    for slot in slots:
        alike = [old[size].get(slot) == new[size].get(slot) for size in SIZES]
        assert all(alike) == (slot in step.exact), slot


def test_a_swapped_part_is_held_to_no_claim() -> None:
    v12b = structure("v12b", "nano")
    axial = plan_migration(v12b, structure("v13", "nano", {"pair_stack": "axial"}))
    assert "pair_stack" in axial.carried
    assert not axial.faults
    shallow = plan_migration(v12b, structure("v13", "nano", denoiser__layers=2))
    (fault,) = shallow.faults
    assert "the denoiser does not: layers 4 → 2" in fault.what
    allowed = plan_migration(v12b, structure("v13", "nano", denoiser__layers=2), True)
    assert not allowed.faults
    assert set(allowed.carried) == set(TRUNK)


def test_what_is_fed_another_width_is_fresh_with_that_reason() -> None:
    wide = structure("v12b", "nano", pair_stack__d_pair=64)
    (fault,) = plan_migration(structure("v12b", "nano"), wide).faults
    assert "the denoiser does not: width of pair 32 → 64" in fault.what


def test_the_same_weights_at_other_settings_are_noted() -> None:
    other = structure("v13", "nano", denoiser__snr_low=0.1, coordinates__scale="rg")
    made = plan_migration(structure("v13", "nano"), other)
    assert not made.faults
    assert made.notes == (
        "denoiser: the same weights at snr_low 0.2 → 0.1",
        "the denoiser's coordinates change: scale fixed → rg",
    )


def test_a_slot_that_another_file_fills_is_held_to_no_claim_and_no_shape() -> None:
    source = structure("v12b", "nano")
    odd = {n: (*s, 9) if n.startswith("encoder.") else s for n, s in source.tensors.items()}
    target = structure("v13", "nano")
    assert plan_migration(replace(source, tensors=odd), target).faults
    made = plan_migration(replace(source, tensors=odd), target, elsewhere={"encoder": "other"})
    assert not made.faults
    assert "encoder" not in {entry.slot for entry in made.moves}
    assert "encoder" not in {expected.slot for expected in made.expectations}
    assert {e.why for e in made.entries if e.slot == "encoder"} == {"other"}
    targets = [entry.target for entry in made.entries if entry.target]
    assert sorted(targets) == sorted(target.tensors), "each once"


def test_nothing_in_common_is_refused_even_if_mismatch_is_allowed() -> None:
    made = plan_migration(structure("v13", "nano"), structure("v13"), allow_mismatch=True)
    with pytest.raises(ProtectedError, match="nothing carries over"):
        made.check()


EDITS = {
    "shape": (
        "in the file and",
        "raise the version of its ComponentSpec to 2, with [denoiser.ipa.",
    ),
    "extra": (
        "'denoiser.blocks.1.gate.weight' is in the file alone",
        '[denoiser.ipa.2.drop] "blocks.1.gate.weight" = "why" in minifold_ipa/migrations.toml',
    ),
    "missing": ("is missing in the file", "[denoiser.ipa.2.fresh] "),
    "slot renamed": (
        "'net' of the file looks like 'denoiser' under another name",
        "write the file with 'denoiser' in place of 'net'",
    ),
    "module renamed": (
        "'denoiser.layers' of the file looks like 'denoiser.blocks'",
        '[denoiser.ipa.2.rename] "layers" = "blocks"',
    ),
    "inner renamed": ("of the file looks like", '[denoiser.ipa.2.rename] "blocks.*.old" = '),
    "stray": ("'stray.weight' is in the file alone", "use the file as it was written"),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("known", [True, False])
def test_each_fault_is_named_with_its_mend(edit: str, known: bool) -> None:
    source = edited(structure("v12b", "nano"), edit)
    what, mend = EDITS[edit]
    if not known:  # a stranger's file: no component, so no rule could help
        source = Structure("theirs.pt", source.tensors)
    target = structure("v13" if known else "v12b", "nano")
    with pytest.raises(ProtectedError) as error:
        plan_migration(source, target).check()
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert what in lines[0]
    assert "--allow-mismatch" in lines[1]
    assert not known or mend in lines[1]
    allowed = plan_migration(source, target, allow_mismatch=True)
    assert not allowed.faults
    left = [e for e in allowed.entries if "(--allow-mismatch)" in e.why]
    assert left
    assert {e.verdict for e in left} <= {"fresh", "dropped"}


def test_a_declared_slot_that_does_not_carry_over_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = lineage.Step(version="v13", parent="v12b", exact=("pair_stack",))
    monkeypatch.setattr(lineage, "read_step", lambda version: wrong)
    with pytest.raises(
        ProtectedError, match=r"v13/lineage.toml declares pair_stack exact"
    ) as error:
        planned("v12b", "v13", "nano").check()
    assert "move 'pair_stack' to [changed]" in str(error.value)
    allowed = planned("v12b", "v13", "nano", allow_mismatch=True)
    assert (allowed.faults, allowed.allow_mismatch) == ((), True)


def test_nothing_is_said_to_be_excused_where_all_fits() -> None:
    assert not planned("v12b", "v13", "nano", allow_mismatch=True).allow_mismatch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('parent = "v12"', "parent = 'v12', but the recipe extends v12b"),
        ('parent = "v12b"\nexact = ["heads.rgg"]', "'heads.rgg' is a slot of neither"),
        ('parent = "v12b"\nexact = ["encoder"]\nchanged.encoder = "x"', "'encoder' is named twice"),
        ('parent = "v12b"\nexat = []', "cannot be read"),
        ('schema = 9\nparent = "v12b"', "schema 9; update minifold"),
        ("parent = ", "cannot be read"),
    ],
)
def test_a_wrong_lineage_file_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "lineage.toml").write_text(text)
    monkeypatch.setattr(lineage, "version_package", lambda _: SimpleNamespace(directory=tmp_path))
    with pytest.raises(MinifoldError, match=re.escape(said)):
        read_step.__wrapped__("v13")


def test_a_route_goes_through_the_common_ancestor() -> None:
    lines = {v: read_source(v).lineage for v in ("v10", "v12b", "v14")}
    assert [s.version for s in Route.between(lines["v12b"], lines["v14"])] == ["v13", "v14"]
    assert [s.version for s in Route.between(lines["v14"], lines["v12b"])] == ["v13", "v14"]
    assert not Route.between(lines["v14"], lines["v14"])
    assert not Route.between((), lines["v14"])


def test_a_part_without_weights_that_stays_behind_is_told() -> None:
    judged = load_recipe("v13-trunk", "nano", {"heads.confidence": "expected_lddt"})
    source = Structure.of_recipe(judged)
    (note,) = plan_migration(source, Structure.of_recipe(load_recipe("v13-trunk", "nano"))).notes
    assert note.endswith("stays behind; --with heads.confidence=expected_lddt keeps it")
    assert plan_migration(source, source).notes == ()
