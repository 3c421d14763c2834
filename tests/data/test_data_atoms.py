"""The atoms of a structure file, and what is said of a file that has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from minifold_core.data.atoms import read_atoms
from minifold_core.errors import RequestError

ATOM = "ATOM      1  CA {alt}ALA A   1       1.000   2.000   3.000  0.50  0.00           C  "
BAD = ATOM.replace("2.000", "x.xxx").format(alt=" ")


def test_all_conformers_of_the_first_model_and_the_number_of_models(tmp_path: Path) -> None:
    atoms = "\n".join(ATOM.format(alt=letter) for letter in "AB")
    text = "".join(f"MODEL     {n:4}\n{atoms}\nENDMDL\n" for n in (1, 2, 3))
    (tmp_path / "a.pdb").write_text(text)
    read, models = read_atoms(tmp_path / "a.pdb")
    assert models == 3
    assert read.altloc_id.tolist() == ["A", "B"]
    assert read.occupancy.tolist() == [0.5, 0.5]
    assert read.label_seq_id.tolist() == [".", "."]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("a.pdb", None, "no such file"),
        (".", None, "is a directory"),
        ("a.pdb", "HEADER\n", r"no atoms \(no ATOM or HETATM record\)"),
        ("a.cif", "data_x\n_entry.id x\n", r"no atoms \(no atom_site category\)"),
        ("a.pdb", f"HEADER\n{ATOM.format(alt=' ')}\n{BAD}\n", r"broken .*\(line 3: "),
        (
            "a.cif",
            "data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 0.0 2\n",
            "'atom_site': Category contains columns with different lengths",
        ),
    ],
)
def test_a_file_without_atoms_is_refused_for_what_it_is(
    tmp_path: Path, file: str, text: str | None, words: str
) -> None:
    path = tmp_path / file
    if text is not None:
        path.write_text(text)
    with pytest.raises(RequestError, match=words) as refusal:
        read_atoms(path)
    assert "\n" not in str(refusal.value)
