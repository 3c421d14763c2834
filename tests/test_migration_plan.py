"""Migration plans: all pairs of versions, what versions declare, and what no rule explains."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minifold_core.catalogue import components_of, natural
from minifold_core.components import ComponentSpec
from minifold_core.discovery import find_versions, version_package
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.manifest import read_manifest
from minifold_core.recipe import load_recipe
from minifold_core.recipe_tree import read_source
from minifold_core.weights import lineage, rules, verdicts
from minifold_core.weights.lineage import Route, read_step
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.ranges import ranges
from minifold_core.weights.report import Report
from minifold_core.weights.structure import Structure, slot_of
from minifold_core.weights.verdicts import CARRIED

VERSIONS = sorted(
    (n for n, p in find_versions().items.items() if p.origin.distribution == "minifold"),
    key=natural,
)
SIZES = ("full", "nano")
TRUNK = ("encoder", "aux_pair_stack", "heads.rg", "heads.distance")


def structure(version: str, size: str = "full", swaps: Any = None, **values: Any) -> Structure:
    changed = {key.replace("__", "."): value for key, value in values.items()}
    return Structure.of_recipe(load_recipe(version, size, swaps, changed))


def planned(source: str, target: str, size: str = "full", **options: Any) -> Plan:
    return plan_migration(structure(source, size), structure(target, size), **options)


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
        refused = "denoiser" in theirs and "denoiser" not in same
        assert bool(made.faults) == refused, (source, target)
        if refused:
            with pytest.raises(ProtectedError, match=r"trunk only: .* the denoiser does not: "):
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


def test_nothing_in_common_is_refused_even_if_mismatch_is_allowed() -> None:
    made = plan_migration(structure("v13", "nano"), structure("v13"), allow_mismatch=True)
    with pytest.raises(ProtectedError, match="nothing carries over"):
        made.check()


def edited(source: Structure, edit: str) -> Structure:
    """A file's structure with one thing wrong."""
    tensors = dict(source.tensors)
    name = next(n for n in tensors if n.startswith("denoiser.blocks.1.") and n.endswith("weight"))
    if edit == "shape":
        tensors[name] = (*tensors[name][:-1], tensors[name][-1] + 1)
    elif edit == "extra":
        tensors["denoiser.blocks.1.gate.weight"] = (3,)
    elif edit == "missing":
        del tensors[name]
    elif edit == "slot renamed":
        tensors = {n.replace("denoiser.", "net.", 1): s for n, s in tensors.items()}
    elif edit == "module renamed":
        tensors = {
            re.sub(r"^(denoiser\.blocks)", r"denoiser.layers", n): s for n, s in tensors.items()
        }
    elif edit == "inner renamed":
        word = name.split(".")[3]
        renamed = {n: n.replace(f".{word}.", ".old.") for n in tensors if n.startswith("denoiser.")}
        tensors = {renamed.get(n, n): s for n, s in tensors.items()}
    else:
        tensors["stray.weight"] = (3,)
    return replace(source, tensors=tensors)


EDITS = {
    "shape": ("in the file and", "it does not hold what its recipe says"),
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
    assert not planned("v12b", "v13", "nano", allow_mismatch=True).faults


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


# Rules of a component whose version rose.

RULES = """
[denoiser.ipa.2.rename]
"blocks.*.attn" = "blocks.*.attention"
[denoiser.ipa.2.drop]
"gone" = "nothing read it"
[denoiser.ipa.3.rename]
"blocks" = "layers"
[denoiser.ipa.3.fresh]
"gate" = "new in 3"
"""
OLD = {"blocks.0.attn.q": (2,), "blocks.1.attn.q": (2,), "blocks.1.ffn": (3,), "gone.w": (4,)}
NEW = {"layers.0.attention.q": (2,), "layers.1.attention.q": (2,), "layers.1.ffn": (3,)}


@pytest.fixture
def ipa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ComponentSpec:
    """A plugin's component at version 3, with a file of rules beside its config."""
    package = tmp_path / "risen_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('rules are read without importing')")
    (package / "migrations.toml").write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = ComponentSpec("denoiser", "ipa", "risen_plugin.config:C", "x:Y", "", version=3)
    monkeypatch.setattr(verdicts, "component", lambda kind, name: spec)
    return spec


def risen(version: int, tensors: dict[str, tuple[int, ...]], source: Structure) -> Structure:
    """v13 whose denoiser is of a version and holds other tensors."""
    assert source.parts is not None
    part = replace(source.parts["denoiser"], version=version)
    kept = {n: s for n, s in source.tensors.items() if not n.startswith("denoiser.")}
    names = {f"denoiser.{name}": shape for name, shape in tensors.items()}
    return replace(source, tensors=kept | names, parts={**source.parts, "denoiser": part})


def denoisers(old: dict[str, tuple[int, ...]], new: dict[str, tuple[int, ...]]) -> Plan:
    v13 = structure("v13", "nano")
    return plan_migration(risen(1, old, v13), risen(3, new, v13))


def test_rules_of_each_step_are_followed_in_turn(ipa: ComponentSpec) -> None:
    made = denoisers(OLD, NEW | {"gate.w": (9,)})
    made.check()
    found = {
        (e.source or "", e.target or ""): (e.verdict, e.why)
        for e in made.entries
        if e.slot == "denoiser"
    }
    assert found == {
        ("denoiser.blocks.0.attn.q", "denoiser.layers.0.attention.q"): ("renamed", ""),
        ("denoiser.blocks.1.attn.q", "denoiser.layers.1.attention.q"): ("renamed", ""),
        ("denoiser.blocks.1.ffn", "denoiser.layers.1.ffn"): ("renamed", ""),
        ("", "denoiser.gate.w"): ("fresh", "new in 3"),
        ("denoiser.gone.w", ""): ("dropped", "nothing read it"),
    }


def test_rules_hold_in_any_slot_and_model(ipa: ComponentSpec) -> None:
    moved = rules.move(ipa, 2, ["blocks.5.attention.q", "other"])
    assert moved.names == {"layers.5.attention.q": "blocks.5.attention.q", "other": "other"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[denoiser.ipa.2.rename]\n"no.such" = "x"', "'no.such' matches nothing"),
        (
            '[denoiser.ipa.2.rename]\n"blocks.0" = "x"\n"blocks.*.attn" = "y.*"',
            "'blocks.0' and 'blocks.*.attn' both match 'blocks.0.attn.q'",
        ),
        (
            '[denoiser.ipa.2.rename]\n"gone" = "x"\n[denoiser.ipa.2.drop]\n"gone" = "y"',
            "'gone' and 'gone' both match",
        ),
        ('[denoiser.ipa.2.rename]\n"blocks.*" = "x"', "both become 'x.attn.q'"),
        ("[denoiser.ipa.3]", "says nothing of weights of its version 1; add [denoiser.ipa.2]"),
        ('[denoiser.ipa.2]\n[denoiser.ipa.3.fresh]\n"lost" = "y"', "fresh 'lost' matches nothing"),
        ("[denoiser.ipa.2]\nresize = 1", "cannot be read"),
        ("schema = 7", "has schema 7; update minifold"),
    ],
)
def test_wrong_rules_are_errors(ipa: ComponentSpec, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "risen_plugin" / "migrations.toml").write_text(text)
    with pytest.raises(MinifoldError) as error:  # noqa: PT012 - some are found while planning
        made = denoisers(OLD, NEW)
        raise MinifoldError("; ".join(fault.what for fault in made.faults))
    assert said in str(error.value)


def test_an_unexplained_tensor_prints_the_rule_to_add(
    ipa: ComponentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minifold_core.weights import mend

    monkeypatch.setattr(mend, "component", lambda kind, name: ipa)
    old = OLD | {"extra.w": (1,)}
    with pytest.raises(ProtectedError) as error:
        denoisers(old, NEW | {"gate.w": (9,)}).check()
    assert "'denoiser.extra.w' is in the file alone" in str(error.value)
    rule = 'add to risen_plugin/migrations.toml: [denoiser.ipa.2.drop] "extra.w" = "why"'
    assert rule in str(error.value)


def test_weights_newer_than_the_component_are_refused() -> None:
    v13 = structure("v13", "nano")
    assert v13.parts is not None
    part = replace(v13.parts["denoiser"], version=2)
    newer = replace(v13, parts={**v13.parts, "denoiser": part})
    with pytest.raises(ProtectedError, match=r"made by ipa/2, newer than ipa/1"):
        plan_migration(newer, v13).check()


# Names in few words, and the report.


def expand(pattern: str) -> re.Pattern[str]:
    """What a pattern of ranges stands for."""

    def numbers(match: re.Match[str]) -> str:
        spans = [part.partition("-") for part in match[1].split(",")]
        return f"({'|'.join(str(n) for a, _, b in spans for n in range(int(a), int(b or a) + 1))})"

    return re.compile(re.sub(r"{([\d,-]+)}", numbers, pattern) + r"(\..*)?")


def test_ranges_stand_for_the_names_and_no_others() -> None:
    assert ranges(["d.b.0.x", "d.b.1.x", "d.b.3.x"], ["d.b.2.x"]) == ["d.b.{0-1,3}.x"]
    assert ranges(["d.b.0.x", "d.b.0.y", "d.b.1.x", "d.b.1.y"], ["d.c"]) == ["d.b"]
    assert ranges(["d.b.0.x", "d.b.1.x"], ["d.b.0.y", "d.b.1.y"]) == ["d.b.{0-1}.x"]
    assert ranges(["d.b.0.x", "e.w"], ["d.c"]) == ["d.b.0.x", "e.w"]
    chance = random.Random(3)
    names = list(structure("v13").tensors)
    for _ in range(20):
        blocks = {str(n) for n in range(8) if chance.random() < 0.5}
        word = chance.choice(["bias", "weight", "."])
        chosen = [n for n in names if word in n and blocks & set(n.split("."))]
        others = set(names) - set(chosen)
        patterns = [expand(pattern) for pattern in ranges(chosen, others)]
        assert {n for n in names if any(p.fullmatch(n) for p in patterns)} == set(chosen)


def test_the_report_counts_every_parameter_of_the_model() -> None:
    made = planned("v12b", "v14")
    report = Report.of(made)
    total = sum(math.prod(shape) for shape in made.target.tensors.values())
    assert (report.given, report.total) == (30_175_989, total)
    own = [row for row in report.rows if row.percent is not None]
    assert sum(row.parameters for row in own) == total
    assert sum(row.tensors for row in own) == len(made.target.tensors)
    assert [row.names for row in own] == [[row.slot] for row in own]
    assert report.to_json()["schema"] == 1


def test_the_table_fits_80_columns() -> None:
    from rich.console import Console

    source = edited(structure("v12b"), "module renamed")
    for made in (planned("v12b", "v13"), plan_migration(source, structure("v14"))):
        console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(Report.of(made).table())
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert "pair_stack" in text
    assert "denoiser.layers" in text
