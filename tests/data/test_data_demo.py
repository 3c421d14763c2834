"""The built-in demo set: small, real, varied, and its validation chains are no relatives."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from biotite.sequence import ProteinSequence
from biotite.sequence.align import (
    Alignment,
    EValueEstimator,
    SubstitutionMatrix,
    align_optimal,
    get_sequence_identity,
)

from minifold_core.data import Chain, PackedDataset, open_dataset
from minifold_core.data.breaks import linked
from minifold_core.data.dataset import DEMO_PATH

MATRIX, GAP = SubstitutionMatrix.std_protein_matrix(), (-11, -1)
BUILD = Path(__file__).parents[2] / "scripts" / "build_demo.py"


@pytest.fixture(scope="module")
def demo() -> PackedDataset:
    return open_dataset()


@pytest.fixture(scope="module")
def chance(demo: PackedDataset) -> EValueEstimator:
    """How good an alignment chance gives, from random sequences of the demo set's composition."""
    letters = np.concatenate([ProteinSequence(chain.sequence).code for chain in demo])
    frequencies = np.bincount(letters, minlength=len(MATRIX.get_alphabet1()))
    np.random.seed(0)
    return EValueEstimator.from_samples(
        MATRIX.get_alphabet1(), MATRIX, GAP, frequencies, sample_length=200, sample_size=300
    )


def align(one: Chain, other: Chain) -> Alignment:
    sequences = (ProteinSequence(one.sequence), ProteinSequence(other.sequence))
    return align_optimal(*sequences, MATRIX, gap_penalty=GAP, local=True, max_number=1)[0]


def test_its_size_and_lengths(demo: PackedDataset) -> None:
    assert DEMO_PATH.stat().st_size < 1_000_000
    assert 15 <= len(demo) <= 25
    assert demo.lengths.min() >= 30
    assert demo.lengths.max() <= 125
    middling = [c for c in demo.subset("train") if 60 <= len(c) <= 80 and c.ca_mask.all()]
    assert len(middling) >= 2


def test_its_chains_are_whole(demo: PackedDataset) -> None:
    for chain in demo:
        assert chain.backbone_mask.all(), chain.name
        assert linked(chain.backbone, chain.backbone_mask)[0].all(), chain.name
        assert (np.diff(chain.residue_index) == 1).all(), chain.name
        assert "X" not in chain.sequence, chain.name


def test_its_sources_are_named(demo: PackedDataset) -> None:
    carriers = (
        "Debian mustang-testdata",
        "Debian theseus-examples",
        "Debian pymol-data",
        "biopython",
    )
    for chain in demo:
        assert chain.provenance.startswith(f"PDB {chain.entry.upper()}, "), chain.name
        assert any(carrier in chain.provenance for carrier in carriers), chain.name


def test_no_validation_chain_has_a_relative_in_training(
    demo: PackedDataset, chance: EValueEstimator
) -> None:
    """Zinc fingers find each other at 1e-6, cytochromes c at 1e-35 or less; these pairs do not."""

    def log_e(one: Chain, other: Chain) -> float:
        return float(chance.log_evalue(align(one, other).score, len(one), len(other)))

    chains = {chain.name: chain for chain in demo}
    assert log_e(chains["1zaa.finger1"], chains["1zfd.N"]) < -5
    assert log_e(chains["1lfm.A"], chains["1crj._"]) < -30
    for held_out, seen in product(demo.subset("validation"), demo.subset("train")):
        assert log_e(held_out, seen) > -3, (held_out.name, seen.name)
    entries = [{c.entry for c in demo.subset(split)} for split in ("train", "validation")]
    assert not entries[0] & entries[1]


def test_no_two_chains_are_nearly_the_same(demo: PackedDataset) -> None:
    for one, other in combinations(demo, 2):
        identity = get_sequence_identity(align(one, other), mode="shortest")
        assert identity < 0.9, (one.name, other.name)


def test_few_zinc_fingers(demo: PackedDataset) -> None:
    fingers = [chain for chain in demo if "zinc finger" in chain.provenance]
    assert 1 <= len(fingers) <= 3
    assert {chain.split for chain in fingers} == {"train"}


def test_it_is_what_its_script_builds(shared: Path, tmp_path: Path) -> None:
    again = tmp_path / "demo.safetensors"
    subprocess.run([sys.executable, BUILD, shared / "demo-structures", again], check=True)
    assert again.read_bytes() == DEMO_PATH.read_bytes()
