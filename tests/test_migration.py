"""Migrations carried out: through the API and as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.model import FoldModel
from minifold_core.recipe import load_recipe
from minifold_core.weights.apply import apply
from minifold_core.weights.file import WeightsFile, open_weights
from minifold_core.weights.header import read_header
from minifold_core.weights.initial import Migration, begin
from minifold_core.weights.io import components_of, load_model, save_weights
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.report import Report
from minifold_core.weights.structure import Structure
from minifold_core.weights.verify import verify
from weights_files import perturbed, save, snapshot, unchanged

Minifold = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("torch", "numpy", "biotite", "matplotlib")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def v12b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("v12b") / "v12b.safetensors", perturbed("v12b"))


def plan_for(path: Path, model: FoldModel, allow: bool = False) -> tuple[WeightsFile, Plan]:
    file = open_weights(path)
    target = Structure.of_recipe(model.recipe)
    return file, plan_migration(Structure.of_file(file), target, allow)


def test_v12b_into_v13_is_exact_and_the_rest_as_it_was_built(v12b: Path) -> None:
    torch.manual_seed(1)
    model = assemble("v13", "nano")
    before, source = snapshot(model), open_weights(v12b).load()
    file, plan = plan_for(v12b, model)
    given = begin(model, None, Migration(file, plan, Report.of(plan, file), file.load()))
    for name, tensor in model.state_dict().items():
        kept = name.startswith("pair_stack.")
        assert torch.equal(tensor, before[name] if kept else source[name]), name
    assert given.encoder == "trained"
    slots = {"encoder", "aux_pair_stack", "denoiser", "heads.rg", "heads.distance"}
    assert given.parents == dict.fromkeys(slots, file.sha256)
    (record,) = given.migrations
    assert record["source"] == {
        "label": "v12b.safetensors (v12b, nano)",
        "version": "v12b",
        "size": "nano",
        "step": 120,
        "epoch": 30,
        "file": "v12b.safetensors",
        "sha256": file.sha256,
    }
    assert {row["slot"] for row in record["rows"] if row["verdict"] == "copied"} == slots
    assert json.loads(json.dumps(record)) == record


def damaged(path: Path, edit: str) -> dict[str, torch.Tensor]:
    tensors = dict(open_weights(path).load())
    name = "denoiser.single.1.weight"
    assert name in tensors
    if edit == "shape":
        tensors[name] = tensors[name][:-1].contiguous()
    elif edit == "prefix":
        return {n.replace("heads.rg", "heads.size", 1): t for n, t in tensors.items()}
    elif edit == "extra":
        tensors["denoiser.single.2.weight"] = torch.zeros(3)
    else:
        del tensors[name]
    return tensors


DAMAGE = {
    "shape": "'denoiser.single.1.weight' is [127, 64] in the file and [128, 64] in v13 (nano)",
    "prefix": "'heads.size' of the file looks like 'heads.rg' under another name",
    "extra": "'denoiser.single.2.weight' is in the file alone",
    "missing": "'denoiser.single.1.weight' is missing in the file",
}


@pytest.mark.parametrize("edit", DAMAGE)
def test_a_file_with_one_fault_is_refused_whole(
    v12b: Path, tmp_path: Path, minifold: Minifold, edit: str
) -> None:
    path = save(tmp_path / "odd.safetensors", load_model(v12b)[0], damaged(v12b, edit))
    model = assemble("v13", "nano")
    before = snapshot(model)
    file, plan = plan_for(path, model)
    with pytest.raises(ProtectedError) as error:
        apply(plan, file.load(), model)
    assert DAMAGE[edit] in str(error.value)
    assert unchanged(model, before)
    done = minifold("migrate", path, "--to", "v13", "--out", tmp_path / "out.safetensors")
    assert done.returncode == 3
    assert DAMAGE[edit] in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "out.safetensors").exists()
    allowed = [tmp_path / "out.safetensors", "--allow-mismatch", "--json"]
    done = minifold("migrate", path, "--to", "v13", "--out", *allowed)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["allow_mismatch"]
    assert read_header(allowed[0]).migrations[0]["allow_mismatch"]
    assert any("(--allow-mismatch)" in row["why"] for row in record["rows"])


def test_a_tensor_that_does_not_fit_after_all_leaves_the_model(v12b: Path) -> None:
    """What a plan cannot know, because it read no tensors."""
    model = assemble("v13", "nano")
    before = snapshot(model)
    file, plan = plan_for(v12b, model)
    good = file.load()
    last = plan.moves[-1].source
    assert last is not None
    for bad in (
        good[last].double() * 1e300,
        good[last].long(),
        good[last][..., :-1],
        good[last].to(torch.complex64),
    ):
        with pytest.raises(ProtectedError, match="nothing was loaded"):
            apply(plan, good | {last: bad}, model)
        assert unchanged(model, before)
    del good[last]
    with pytest.raises(ProtectedError, match="is missing; nothing was loaded"):
        apply(plan, good, model)
    with pytest.raises(ProtectedError, match="not the one planned"):
        apply(plan, file.load(), assemble("v14", "nano"))
    assert unchanged(model, before)


def test_verify_proves_what_carries_over(v12b: Path) -> None:
    model = assemble("v13", "nano")
    file, plan = plan_for(v12b, model)
    apply(plan, file.load(), model)
    assert tuple(verify(plan, file, file.load(), model)) == plan.carried
    with torch.no_grad():
        model.state_dict()["denoiser.single.1.bias"][0] += 1e-3
    with pytest.raises(ProtectedError, match="denoiser computes another 'coords'"):
        verify(plan, file, file.load(), model)
    assert model.training


def test_verify_notices_other_settings(v12b: Path) -> None:
    model = assemble("v12b", "nano", values={"denoiser.snr_low": 0.01})
    file, plan = plan_for(v12b, model)
    apply(plan, file.load(), model)
    with pytest.raises(ProtectedError, match="its settings differ"):
        verify(plan, file, file.load(), model)


def test_verify_needs_a_model_to_compare_with(v12b: Path, tmp_path: Path) -> None:
    torch.save(open_weights(v12b).load(), tmp_path / "bare.pt")
    model = assemble("v12b", "nano")
    file, plan = plan_for(tmp_path / "bare.pt", model)
    with pytest.raises(RequestError, match="has no recipe"):
        verify(plan, file, file.load(), model)


def test_weights_walk_from_v12b_to_v14(v12b: Path, tmp_path: Path, minifold: Minifold) -> None:
    v13, v14 = tmp_path / "v13.safetensors", tmp_path / "v14.safetensors"
    for source, version, out in ((v12b, "v13", v13), (v13, "v14", v14)):
        done = minifold("migrate", source, "--to", version, "--out", out, "--verify")
        assert done.returncode == 0, done.stderr
        assert "verified, the same output to the bit: encoder" in " ".join(done.stdout.split())
    model, header = load_model(v14)
    first, second, last = (open_weights(path).load() for path in (v12b, v13, v14))
    for name, tensor in last.items():
        if not name.startswith("heads.backbone."):
            assert torch.equal(tensor, second[name])
        if not name.startswith(("heads.backbone.", "pair_stack.")):
            assert torch.equal(tensor, first[name])
    assert components_of(model.recipe) == header.components
    assert [m["target"]["version"] for m in header.migrations] == ["v13", "v14"]
    told = minifold("inspect", v14, "--lineage").stdout
    assert "v12b → v13 → v14" in told
    assert "v12b, epoch 30 → v13: 92.3 per cent from v12b.safetensors" in told
    assert "fresh: heads.backbone" in told


def full_size(path: Path, version: str) -> Path:
    """A full-size file with a true header and no data: a plan may not read any."""
    recipe = load_recipe(version)
    structure = Structure.of_recipe(recipe)
    from minifold_core.weights.header import Header

    header = Header(recipe=recipe.to_tables(), components=components_of(recipe))
    layout: dict[str, object] = {"__metadata__": header.to_metadata()}
    begin = 0
    for name, shape in structure.tensors.items():
        end = begin + 4 * int(torch.tensor(shape).prod())
        layout[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(layout).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + begin)
    return path


@pytest.mark.parametrize(
    "options",
    [
        ["migrate", "FULL", "--to", "v13", "--dry-run"],
        ["migrate", "FULL", "--to", "v14", "--dry-run", "--json"],
        ["migrate", "NANO", "--to", "v13", "--dry-run"],
        ["inspect", "NANO"],
        ["inspect", "NANO", "--json"],
        ["inspect", "NANO", "--lineage"],
    ],
)
def test_planning_and_inspecting_import_nothing_heavy(
    v12b: Path, tmp_path: Path, options: list[str]
) -> None:
    paths = {"FULL": str(full_size(tmp_path / "full.safetensors", "v12b")), "NANO": str(v12b)}
    arguments = [paths.get(word, word) for word in options]
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_a_target_of_its_own_says_that_it_was_built(v12b: Path, minifold: Minifold) -> None:
    options = ["--to", "v13", "--set", "pair_stack.blocks=3", "--dry-run"]
    done = minifold("migrate", v12b, *options)
    assert done.returncode == 0, done.stderr
    assert "(with torch)" in done.stderr


def test_wrong_requests_and_refusals_have_their_exit_codes(
    v12b: Path, tmp_path: Path, minifold: Minifold
) -> None:
    flipped = tmp_path / "flipped.safetensors"
    content = bytearray(v12b.read_bytes())
    content[-5] ^= 1
    flipped.write_bytes(content)
    out = ["--out", tmp_path / "never.safetensors"]
    taken = ["--out", flipped]
    for arguments, code, said in (
        (["migrate", v12b, "--to", "v13"], 2, "--out FILE"),
        (["migrate", v12b, "--to", "v99", *out], 2, "unknown version 'v99'"),
        (["migrate", v12b, "--to", "v13", "--dry-run", "--verify"], 2, "--verify computes"),
        (["migrate", tmp_path / "gone", "--to", "v13", *out], 2, "does not exist"),
        (["migrate", flipped, "--to", "v13", *out], 2, "is damaged: its content does not match"),
        (["inspect", flipped], 2, "is damaged: its content does not match"),
        (["migrate", v12b, "--to", "v13", *taken], 3, "exists; choose another --out"),
        (["migrate", v12b, "--to", "v11b", *out], 3, "trunk only"),
        (["migrate", v12b, "--to", "v13", "--size", "full", *out], 3, "nothing carries over"),
    ):
        done = minifold(*arguments)
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert not out[1].exists()
    assert bytes(content) == flipped.read_bytes()


def test_trunk_only_is_carried_out_when_asked_and_recorded(
    v12b: Path, tmp_path: Path, minifold: Minifold
) -> None:
    out = tmp_path / "trunk.safetensors"
    done = minifold("migrate", v12b, "--to", "v11b", "--allow-mismatch", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "MISMATCH ALLOWED" in done.stdout
    header = read_header(out)
    assert "denoiser" not in header.parents
    sampled = minifold("sample", out, "--length", 20, "--steps", 2, "--out", tmp_path / "samples")
    assert sampled.returncode == 0, sampled.stderr
    assert f"denoiser of {out} started fresh, at least in part, when it was" in sampled.stderr

    again = ("migrate", out, "--to", "v11b", "--out")
    on = [tmp_path / name for name in ("drawn.safetensors", "trained.safetensors")]
    assert minifold(*again, on[0]).returncode == 0
    assert "denoiser" in read_header(on[0]).untrained, "it was carried, but as it was drawn"
    trained = header.model_copy(update={"step": 1})
    assert "denoiser" not in trained.untrained
    save_weights(out, load_model(out)[0].state_dict(), trained)
    assert minifold(*again, on[1]).returncode == 0
    assert "denoiser" not in read_header(on[1]).untrained


def test_an_encoder_that_comes_from_elsewhere_is_not_fresh_and_a_random_one_is_told_once(
    tmp_path: Path, minifold: Minifold
) -> None:
    """Neither the file's encoder fits, so the shipped one is taken; nor is a random one trained."""
    deep = assemble("v13", "nano", values={"encoder.tower_layers": 2})
    path = save(tmp_path / "deep.safetensors", deep)
    out = tmp_path / "out.safetensors"
    done = minifold("migrate", path, "--to", "v13", "--allow-mismatch", "--out", out)
    assert done.returncode == 0, done.stderr
    assert (read_header(out).encoder, read_header(out).fresh) == ("trained", [])

    random = read_header(out).model_copy(update={"encoder": "random", "step": 5})
    save_weights(path, load_model(out)[0].state_dict(), random)
    on = tmp_path / "on.safetensors"
    done = minifold("migrate", path, "--to", "v13", "--out", on)
    assert done.returncode == 0, done.stderr
    done = minifold("sample", on, "--length", 20, "--steps", 1, "--out", tmp_path / "samples")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert told == [
        f"warning: the frozen encoder of {on} is random (minifold train --encoder-from)"
    ]


def test_the_page_of_migrations_is_up_to_date() -> None:
    script = run_path(str(ROOT / "scripts" / "build_migration.py"))
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["build"](page) == page, "run python scripts/build_migration.py"
