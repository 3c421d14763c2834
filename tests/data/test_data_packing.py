"""Packing: what is admitted, what is counted, what is written, and on which side it lands."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_structures import assert_same_chain, make_chain, pdb_text

from minifold_core.data.dataset import PackedDataset
from minifold_core.data.limits import Limits
from minifold_core.data.packing import NothingToPack, pack
from minifold_core.data.records import REASONS, Chain, Rejection
from minifold_core.data.splits import hash_splits
from minifold_core.data.structures import read_structure
from minifold_core.errors import MinifoldError, ProtectedError, RequestError

Read = Callable[..., list[Chain]]


def cath_line(name: str, length: int, unknown: tuple[int, ...] = (), **more: object) -> str:
    """A record of a straight chain; the residues in ``unknown`` have NaN coordinates."""
    place = np.arange(length, dtype=float)
    place[list(unknown)] = np.nan
    shifts = {"N": -1.2, "CA": 0.0, "C": 1.27, "O": 1.27}
    zero = np.zeros(length)
    coords = {a: np.stack([3.8 * place + x, zero, zero], 1).tolist() for a, x in shifts.items()}
    return json.dumps({"name": name, "seq": "G" * length, "coords": coords, "CATH": [], **more})


def test_a_pack_gives_back_what_was_read(structures: Path, tmp_path: Path) -> None:
    report = pack([structures], tmp_path / "all.safetensors", workers=1)
    dataset = PackedDataset.open(report.path)
    assert report.chains == len(dataset) == 5
    assert not report.rejected
    for path, packed in zip(sorted(structures.glob("*.pdb*")), dataset, strict=True):
        (chain,) = read_structure(path)
        assert_same_chain(replace(chain, split=packed.split), packed)


def test_processes_write_the_bytes_that_one_process_writes(
    structures: Path, tmp_path: Path
) -> None:
    (structures / "set.jsonl").write_text("\n".join(cath_line(f"{i}.A", 30) for i in range(150)))
    one = pack([structures], tmp_path / "1.safetensors", workers=1).path
    three = pack([structures], tmp_path / "3.safetensors", workers=3).path
    assert one.read_bytes() == three.read_bytes()


def test_everything_left_out_has_a_reason(structures: Path, tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        (structures / name).write_text(text)

    write("junk.cif", "data_")
    write("old.mmtf", "")
    write("water.pdb", pdb_text([replace(make_chain(1)[0], residue="HOH", hetero=True)]))
    write("trace.pdb", pdb_text([a for a in make_chain(30) if a.name == "N"]))
    write("peptide.pdb", pdb_text(make_chain(5)))
    write("giant.pdb", pdb_text(make_chain(126)))
    write("1abc.ent", pdb_text(make_chain(40)))
    out = tmp_path / "all.safetensors"
    splits = tmp_path / "splits.tsv"
    names = ["0abc.A", *(f"{i}abc.A" for i in range(2, 5)), "1abc"]
    splits.write_text("name\tsplit\n" + "".join(f"{n}\ttrain\n" for n in names[1:]))
    report = pack([structures], out, splits=splits, workers=1)
    assert set(report.reasons) == set(REASONS) - {"related"}  # only --drop-relatives gives that
    assert set(report.reasons.values()) == {1}
    assert report.chains == 4
    assert PackedDataset.open(out).file.rejected == list(report.rejected)


def test_cropping_keeps_a_window_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "long.pdb"
    source.write_text(pdb_text(make_chain(200)))
    with pytest.raises(NothingToPack, match=r"1 too_long.*long\.A: 200 residues"):
        pack([source], tmp_path / "x.safetensors", workers=1)
    report = pack([source], tmp_path / "x.safetensors", Limits(crop=True), workers=1)
    (chain,) = PackedDataset.open(report.path)
    assert report.cropped == 1
    assert len(chain) == 125
    first, last = chain.provenance.rpartition("residues ")[2].split(" of ")[0].split("-")
    assert int(last) - int(first) == 124
    assert chain.ca[0, 0] == pytest.approx(3.8 * (int(first) - 1), abs=1e-3)
    assert chain.residue_index.tolist() == list(range(125))


def cropped(read: Read, unknown: Iterable[int] = ()) -> Chain | Rejection:
    """1abc.A of 200 residues, those in ``unknown`` without Cα, cut to 125."""
    atoms = [a for a in make_chain(200) if a.name != "CA" or a.number - 1 not in unknown]
    (chain,) = read(atoms)
    return Limits(crop=True).admit(chain)


def place_of(chain: Chain | Rejection) -> tuple[int, int]:
    """The first and the last residue of 200 that a cropped chain says it has, from 0."""
    assert isinstance(chain, Chain)
    said = re.search(r"; cropped to residues (\d+)-(\d+) of 200$", chain.provenance)
    assert said
    return int(said[1]) - 1, int(said[2]) - 1


def test_the_unknown_ends_of_a_window_are_cut_off(read_atoms: Read) -> None:
    whole = cropped(read_atoms)
    first, last = place_of(whole)
    assert last - first == 124
    inside = first + 60
    gaps = {first - 1, first, first + 1, inside, last - 2, last - 1, last, last + 1}
    chain = cropped(read_atoms, gaps)
    assert place_of(chain) == (first + 2, last - 3)
    assert len(chain) == 120
    assert chain.residue_index.tolist() == list(range(120))
    known = chain.ca_mask
    assert np.flatnonzero(~known).tolist() == [58]
    np.testing.assert_array_equal(chain.ca[known], whole.ca[2:122][known])


@pytest.mark.parametrize("known", [0, 19])
def test_a_window_of_too_few_known_residues_is_too_short(read_atoms: Read, known: int) -> None:
    first, last = place_of(cropped(read_atoms))
    left_out = cropped(read_atoms, range(first + known, last + 1))
    assert left_out == Rejection("1abc.A", "too_short", f"{known} residues with a Cα")


@pytest.mark.parametrize("limits", [(0, 10), (30, 20)])
def test_limits_that_admit_nothing_are_refused(limits: tuple[int, int]) -> None:
    with pytest.raises(RequestError, match="--min-length"):
        Limits(*limits)


def test_what_there_is_is_protected(structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.safetensors"
    out.write_text("precious")
    with pytest.raises(ProtectedError, match="--force"):
        pack([structures], out, workers=1)
    assert out.read_text() == "precious"
    pack([structures], out, workers=1, force=True)
    assert len(PackedDataset.open(out)) == 5


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("disk full")])
def test_an_interrupted_write_leaves_nothing(
    structures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    def interrupted(handle: int) -> None:
        raise stop

    monkeypatch.setattr(os, "fsync", interrupted)
    before = sorted(tmp_path.iterdir())
    with pytest.raises((KeyboardInterrupt, MinifoldError)):
        pack([structures], tmp_path / "all.safetensors", workers=1)
    assert sorted(tmp_path.iterdir()) == before


def test_inputs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, message in (("empty", "no structure file"), ("nowhere", "no such file")):
        with pytest.raises(RequestError, match=rf"{message}.*; give PDB.* or a CATH chain_set"):
            pack([tmp_path / given], tmp_path / "x.safetensors")


def test_a_lone_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "1abc.cif"
    broken.write_text("data_1ABC\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 0.0 2")
    with pytest.raises(NothingToPack, match=r"1 unreadable.*1abc\.cif: broken or no CIF") as error:
        pack([broken], tmp_path / "x.safetensors", workers=1)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


# --- CATH chain sets ---------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_a_chain_set_with_its_splits(tmp_path: Path, zipped: bool) -> None:
    lines = [
        cath_line("1aaa.A", 30, CATH=["1.10.8", "3.40.50"]),
        cath_line("2bbb.B", 40, unknown=(0, 1, 20, 39)),
        cath_line("3ccc.C", 50),
        cath_line("4ddd.D", 50),
    ]
    text = "\n".join([*lines, "not json", cath_line("5eee.E", 30, seq="GG"), ""]).encode()
    path = tmp_path / ("chain_set.jsonl.gz" if zipped else "chain_set.jsonl")
    path.write_bytes(gzip.compress(text) if zipped else text)
    table = {"train": ["1aaa.A"], "validation": ["2bbb.B"], "test": ["3ccc.C"], "cath_nodes": {}}
    (tmp_path / "chain_set_splits.json").write_text(json.dumps(table))

    report = pack([path], tmp_path / "cath.safetensors", workers=1)
    assert report.splits == {"train": 1, "validation": 1, "test": 1}
    assert report.split_from == "chain_set_splits.json"
    assert report.reasons == {"unreadable": 2, "not_in_splits": 1}
    first, second, _ = PackedDataset.open(report.path)
    assert first.cath == ("1.10.8", "3.40.50")
    assert first.provenance == f"{path.name}:1"
    assert len(second) == 37  # the unknown ends are cut, the unknown residue within is masked
    assert np.flatnonzero(~second.ca_mask).tolist() == [18]
    assert second.residue_index.tolist() == list(range(37))
    assert second.sidechain is None


def test_a_fetched_chain_set_is_split_as_published(structures: Path, tmp_path: Path) -> None:
    """Also where the directory holds structures, which the chain set's splits do not concern."""
    (structures / "chain_set.jsonl").write_text(cath_line("9aaa.A", 30))
    table = {"train": [], "validation": [], "test": ["9aaa.A"]}
    (structures / "chain_set_splits.json").write_text(json.dumps(table))
    report = pack([structures], tmp_path / "x.safetensors", workers=1)
    assert report.chains == 6
    assert report.splits["test"] == 1
    assert set(report.split_from.split("; ")) == {
        "chain_set_splits.json",
        "hash of the entry name, validation fraction 0.1",
    }


def test_a_chain_set_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl.gz"
    text = "\n".join(cath_line(f"{i}.A", 30) for i in range(200)).encode()
    path.write_bytes(gzip.compress(text)[:-2000])
    report = pack([path], tmp_path / "cath.safetensors", workers=1)
    assert report.reasons == {"unreadable": 1}
    assert 0 < report.chains < 200


# --- splits ------------------------------------------------------------------------------------


def named(name: str, sequence: str) -> Chain:
    chain = Chain(name, sequence, *(np.zeros(0),) * 3)  # type: ignore[arg-type]
    return replace(chain, residue_index=np.arange(len(sequence), dtype=np.int32))


def test_the_hash_keeps_relatives_together() -> None:
    chains = [named(f"{i:04}.{c}", f"{'ACDEFGHIKL'[i % 10]}{i}") for i in range(500) for c in "AB"]
    chains += [named(f"x{i:03}.A", f"{'ACDEFGHIKL'[i % 10]}{i}") for i in range(100)]
    sides = hash_splits(chains, 0.1)
    assert sides == hash_splits(chains[::-1], 0.1)
    assert 0.05 < list(sides.values()).count("validation") / len(chains) < 0.15
    for group in ("entry", "sequence"):
        found: dict[str, set[str]] = {}
        for chain in chains:
            found.setdefault(getattr(chain, group), set()).add(sides[chain.name])
        assert all(len(side) == 1 for side in found.values()), group


def test_the_table_beside_a_directory_is_found(structures: Path, tmp_path: Path) -> None:
    rows = [
        "name\tsplit\tlength",
        *(f"{i}abc\t{'test' if i else 'validation'}\t9" for i in range(5)),
    ]
    (tmp_path / "entries.tsv").write_text("\n".join(rows))
    report = pack([structures], tmp_path / "x.safetensors", workers=1)
    assert report.splits == {"train": 0, "validation": 1, "test": 4}
    assert report.split_from == "entries.tsv"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("s.json", "{", "not a splits file"),
        ("s.json", "[1]", "not a splits file"),
        ("s.json", '{"train": []}', "not a splits file"),
        ("s.json", '{"train": ["a.A"], "validation": ["a.A"], "test": []}', "both train and val"),
        ("s.tsv", "chain\tset\na\tb\n", "not a splits file"),
        ("s.tsv", "name\tsplit\na\tvalid\n", "did you mean 'validation'"),
        ("s.tsv", "name\tsplit\na\n", "unknown split"),
    ],
)
def test_splits_that_are_none(
    structures: Path, tmp_path: Path, file: str, text: str, message: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(RequestError, match=message):
        pack([structures], tmp_path / "x.safetensors", splits=tmp_path / file)


def test_a_fraction_out_of_range(structures: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--validation"):
        pack([structures], tmp_path / "x.safetensors", validation=1.5)
