"""Opening a packed file: what comes back, in which process, and what damage is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from small_structures import assert_same_chain

from minifold_core.data import PackedDataset, collate, open_dataset, pack
from minifold_core.data.dataset import DEMO_PATH
from minifold_core.data.packfile import from_bits, to_bits
from minifold_core.data.packwriter import write_pack
from minifold_core.errors import RequestError
from minifold_core.residues import PAD, encode


@pytest.fixture
def packed(structures: Path, tmp_path: Path) -> Path:
    return pack([structures], tmp_path / "all.safetensors", workers=1).path


def read_everything(path: Path) -> None:
    dataset = PackedDataset.open(path)
    assert [len(chain) for chain in dataset] == dataset.lengths.tolist()
    assert dataset.file.rejected is not None


def test_bits_there_and_back() -> None:
    mask = np.random.default_rng(0).random((50, 10)) < 0.5
    np.testing.assert_array_equal(from_bits(to_bits(mask), 10), mask)


def test_the_demo_set_is_the_default() -> None:
    dataset = open_dataset()
    assert dataset.file.path == DEMO_PATH
    assert str(dataset).startswith("built-in demo set (18 chains: 13 train")
    assert str(open_dataset(DEMO_PATH)) == str(dataset)


def test_subsets() -> None:
    dataset = open_dataset()
    train, validation = dataset.subset("train"), dataset.subset("validation")
    assert len(train) + len(validation) == len(dataset) == sum(dataset.splits.values())
    assert not set(train.names) & set(validation.names)
    assert {chain.split for chain in validation} == {"validation"}
    assert [len(c) for c in train] == train.lengths.tolist()
    with pytest.raises(RequestError, match=r"no test chain \(it has 13 train, 5 validation\)"):
        dataset.subset("test")
    with pytest.raises(RequestError, match="did you mean 'validation'"):
        dataset.subset("validaton")
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_collate_pads() -> None:
    chains = list(open_dataset())[:4]
    batch = collate(chains)
    length = max(map(len, chains))
    assert batch.backbone.shape == (4, length, 4, 3)
    assert batch.names == tuple(chain.name for chain in chains)
    assert batch.tokens.dtype == batch.residue_index.dtype == torch.long
    for i, chain in enumerate(chains):
        n = len(chain)
        assert batch.tokens[i, :n].tolist() == encode(chain.sequence)
        assert (batch.tokens[i, n:] == PAD).all()
        assert torch.equal(batch.backbone[i, :n], torch.from_numpy(chain.backbone))
        assert torch.equal(batch.residue_index[i, :n], torch.from_numpy(chain.residue_index).long())
        assert not batch.backbone[i, n:].any()
        assert not batch.backbone_mask[i, n:].any()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_it_feeds_a_data_loader(context: str) -> None:
    dataset = open_dataset().subset("train")
    loader = torch.utils.data.DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_size=4,
        collate_fn=collate,
        num_workers=1,
        multiprocessing_context=context,
    )
    assert [name for batch in loader for name in batch.names] == list(dataset.names)


def test_it_pickles_as_its_path() -> None:
    dataset = open_dataset().subset("validation")
    copy = pickle.loads(pickle.dumps(dataset))
    assert len(pickle.dumps(dataset)) < 2000
    for one, other in zip(dataset, copy, strict=True):
        assert_same_chain(one, other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a sound packed dataset"),
        (b"MVLSPADKTN" * 9, "not a sound packed dataset"),
    ],
)
def test_what_is_no_pack(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        open_dataset(path)
    with pytest.raises(RequestError, match=r"is a directory.*minifold data pack"):
        open_dataset(tmp_path)


def change_header(path: Path, header: str | None) -> None:
    save_file(load_file(path), path, metadata=None if header is None else {"minifold": header})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "minifold did not write it"),
        ("{}", "minifold did not write it"),
        ("[]", "not a sound packed dataset"),
        ("{", "not a sound packed dataset"),
        (json.dumps({"schema": 2}), "packed with schema 2, this minifold reads up to 1; upgrade"),
    ],
)
def test_headers_that_are_not_ours(packed: Path, header: str | None, message: str) -> None:
    change_header(packed, header)
    with pytest.raises(RequestError, match=message):
        open_dataset(packed)


Tensors = dict[str, np.ndarray]


def with_index(tensors: Tensors, name: str, index: int, value: float) -> None:
    tensors[name] = tensors[name].copy()
    tensors[name].flat[index] = value


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.pop("split"),
        lambda t: t.update(tokens=t["tokens"].astype(np.int32)),
        lambda t: t.update(tokens=t["tokens"][:-1]),
        lambda t: t.update(offsets=t["offsets"][:-1]),
        lambda t: t.update(names=t["names"][9:]),
        lambda t: t.update(provenance=t["names"][9:]),
        lambda t: with_index(t, "offsets", 1, 10**12),
        lambda t: with_index(t, "offsets", 1, -1),
        lambda t: with_index(t, "offsets", 0, 1),
        lambda t: with_index(t, "sidechain_offsets", 2, 0),
        lambda t: with_index(t, "split", 0, 9),
        lambda t: with_index(t, "tokens", 3, 0),
        lambda t: with_index(t, "names", 0, 0xFF),
        lambda t: with_index(t, "cath", 0, 0xFF),
        lambda t: with_index(t, "residue_index", 3, 99),
        lambda t: with_index(t, "backbone", 3, np.nan),
        lambda t: with_index(t, "sidechain", 3, np.inf),
        lambda t: with_index(t, "sidechain_mask", 3, 1023),
        lambda t: t.update(rejected=t["names"]),
    ],
)
def test_tables_that_disagree(packed: Path, damage: Callable[[Tensors], object]) -> None:
    tensors = load_file(packed)
    damage(tensors)
    save_file(tensors, packed, metadata={"minifold": '{"schema": 1}'})
    with pytest.raises(RequestError, match="not a sound packed dataset") as error:
        read_everything(packed)
    assert "\n" not in str(error.value)


def test_no_damage_raises_anything_else(packed: Path) -> None:
    """Truncated, overwritten or with bytes inserted anywhere: RequestError, or a sound read."""
    content = packed.read_bytes()
    random = np.random.default_rng(1)
    head = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for trial in range(150):
        broken = bytearray(content)
        at = int(random.integers(head if trial % 2 else len(content)))
        junk = random.bytes(int(random.integers(1, 9)))
        if trial % 3 == 0:
            del broken[at:]
        elif trial % 3 == 1:
            broken[at : at + len(junk)] = junk
        else:
            broken[at:at] = junk
        packed.write_bytes(broken)
        try:
            read_everything(packed)
        except RequestError:
            refused += 1
    assert refused > 100


def test_chains_with_and_without_side_chains(tmp_path: Path) -> None:
    full = open_dataset()[0]
    bare = replace(full, name="bare.A", sidechain=None, sidechain_mask=None)
    part = replace(full.window(3, 20), name="part.A", cath=("1.10.8",), split="test")
    write_pack(tmp_path / "x.safetensors", [full, bare, part], [], {})
    for one, other in zip(
        [full, bare, part], open_dataset(tmp_path / "x.safetensors"), strict=True
    ):
        assert_same_chain(one, other)
