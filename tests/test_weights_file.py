"""Weights files: what is read without torch, what is refused, and that no damage goes unnoticed."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.model import FoldModel
from minifold_core.recipe import load_recipe
from minifold_core.weights.apply import apply, shapes_of
from minifold_core.weights.file import open_weights
from minifold_core.weights.header import read_header
from minifold_core.weights.io import load_model, open_slot
from minifold_core.weights.layout import read_layout
from minifold_core.weights.plan import plan_migration
from minifold_core.weights.structure import Structure
from weights_files import perturbed, put_together, save, snapshot, take_apart, unchanged

CORRUPTIONS = 300


@pytest.fixture(scope="module")
def model() -> FoldModel:
    return perturbed("v12b")


@pytest.fixture(scope="module")
def good(model: FoldModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("good") / "v12b.safetensors", model)


def test_the_layout_is_what_safetensors_reads(good: Path) -> None:
    layout, tensors = read_layout(good), load_file(good)
    assert {n: i.shape for n, i in layout.tensors.items()} == {
        n: tuple(t.shape) for n, t in tensors.items()
    }
    assert {info.dtype for info in layout.tensors.values()} == {"F32"}


def test_the_hash_is_of_the_file_with_the_hash_as_zeros(good: Path) -> None:
    data = good.read_bytes()
    digest = read_layout(good).metadata["minifold_sha256"]
    assert data.count(digest.encode()) == 1
    zeros = data.replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(zeros).hexdigest() == digest
    assert open_weights(good).check_hash()
    assert open_weights(good).sha256 == hashlib.sha256(data).hexdigest()


def test_what_was_saved_is_loaded(good: Path, model: FoldModel) -> None:
    loaded, header = load_model(good)
    assert unchanged(loaded, snapshot(model))
    assert (header.epoch, header.encoder) == (30, "trained")


def test_a_file_from_before_hashes_is_read(good: Path, tmp_path: Path) -> None:
    header, data = take_apart(good.read_bytes())
    metadata = header["__metadata__"]
    del metadata["minifold_sha256"]
    metadata["minifold_weights"] = metadata["minifold_weights"].replace(
        '"schema": 2', '"schema": 1', 1
    )
    (tmp_path / "old.safetensors").write_bytes(put_together(header, data))
    file = open_weights(tmp_path / "old.safetensors")
    assert not file.check_hash()
    assert file.load().keys() == load_file(good).keys()


Change = Callable[[dict[str, Any]], object]
NAME = "denoiser.single.0.weight"
LIES: dict[str, tuple[Change, str]] = {
    "shape": (lambda h: h[NAME].update(shape=[7]), "takes 256 bytes, which its shape"),
    "negative": (lambda h: h[NAME].update(shape=[-64]), "damaged shape or place"),
    "fraction": (lambda h: h[NAME].update(shape=[64.0]), "damaged shape or place"),
    "dtype": (lambda h: h[NAME].update(dtype="F33"), "unknown type 'F33'"),
    "offsets": (lambda h: h[NAME].update(data_offsets=[0, 256]), "begins at byte"),
    "beyond": (lambda h: h.update(x=_entry(10**9)), "not at"),
    "extra key": (lambda h: h[NAME].update(more=1), "not described as a tensor"),
    "missing": (lambda h: h.pop(NAME), "begins at byte"),
    "metadata": (lambda h: h.update(__metadata__={"a": 1}), "no table of texts"),
}


def _entry(begin: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [begin, begin + 4]}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_refused(good: Path, tmp_path: Path, lie: str) -> None:
    change, said = LIES[lie]
    header, data = take_apart(good.read_bytes())
    change(header)
    path = tmp_path / "lie.safetensors"
    path.write_bytes(put_together(header, data))
    with pytest.raises(RequestError, match=f"is not a weights file .*{said}"):
        open_weights(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"12345", "cut short"),
        (b"\xff" * 8, "header length is impossible"),
        (put_together("[]", b""), "no table"),
        (put_together('{"a": ' * 100_000, b""), "not a weights file"),
        (put_together('{"x": 1, "x": 1}', b""), "'x' is there twice"),
        (put_together('{"x": {"shape": [%s]}}' % ("9" * 5000), b""), "not a weights file"),
        (b"not weights at all", "not a weights file"),
    ],
)
def test_no_weights_file_is_told_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=said) as error:
        open_weights(path)
    assert "\n" not in str(error.value)


def test_a_cut_file_is_refused_at_every_length(good: Path, tmp_path: Path) -> None:
    data, path = good.read_bytes(), tmp_path / "cut.safetensors"
    for length in (7, 8, 9, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(RequestError):
            open_weights(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(RequestError, match="belong to no tensor"):
        open_weights(path)


def test_numbers_that_are_not_finite_are_named(model: FoldModel, tmp_path: Path) -> None:
    tensors = snapshot(model)
    tensors["heads.rg.mlp.0.bias"][3] = float("nan")
    tensors["encoder.embedding.weight"][0, 0] = float("inf")
    path = save(tmp_path / "nan.safetensors", model, tensors)
    with pytest.raises(ProtectedError) as error:
        load_model(path)
    assert "'encoder.embedding.weight', 'heads.rg.mlp.0.bias'" in str(error.value)
    before = snapshot(model)
    own = shapes_of(model.part("encoder").state_dict())
    with pytest.raises(ProtectedError, match="not finite"):
        open_slot(model.recipe, "encoder", path, own).fill(model)
    assert unchanged(model, before)


def corrupt(data: bytes, chance: random.Random) -> bytes:
    """One piece of damage: to bytes, to lengths, to a field of the header."""
    kind = chance.choice(["byte", "bit", "head", "length", "cut", "grow", "field", "swap", "zero"])
    size = int.from_bytes(data[:8], "little")
    changed = bytearray(data)
    if kind in ("byte", "bit", "head"):
        place = chance.randrange(8 + size if kind == "head" else len(data))
        flip = 1 << chance.randrange(8) if kind != "byte" else chance.randrange(1, 256)
        changed[place] ^= flip
    elif kind == "length":
        changed[:8] = (size + chance.choice([-1, 1, 8, -8, 10**6, 2**62])).to_bytes(8, "little")
    elif kind == "cut":
        del changed[chance.randrange(len(data)) :]
    elif kind == "grow":
        changed += chance.randbytes(chance.randrange(1, 100))
    elif kind == "zero":
        start = chance.randrange(8 + size, len(data) - 400)
        changed[start : start + 400] = bytes(400)
    else:
        header, tensors = take_apart(data)
        names = [name for name in header if name != "__metadata__"]
        if kind == "swap":  # two tensors of one shape change places: a layout without a fault
            one, two = _alike(header, names, chance)
            header[one], header[two] = header[two], header[one]
        else:
            _spoil(header, chance.choice([*names[:20], "__metadata__"]), chance)
        return put_together(header, tensors)
    return bytes(changed)


def _alike(header: dict[str, Any], names: list[str], chance: random.Random) -> list[str]:
    one = chance.choice(names)
    others = [n for n in names if n != one and header[n]["shape"] == header[one]["shape"]]
    return [one, chance.choice(others)] if others else _alike(header, names, chance)


def _spoil(header: dict[str, Any], name: str, chance: random.Random) -> None:
    table = header[name]
    key = chance.choice(list(table))
    spoilt = [None, "", "x", -1, [], {}, [1, 2], "F16", True, 1e300]
    if name == "__metadata__" and chance.random() < 0.5:
        text = table[key]
        place = chance.randrange(len(text))
        table[key] = text[:place] + chance.choice("{}[],:09az") * 2 + text[place + 1 :]
    elif chance.random() < 0.3:
        del table[key]
    else:
        table[key] = chance.choice([value for value in spoilt if value != table[key]])


def test_no_corruption_crashes_or_loads_or_writes(
    good: Path, model: FoldModel, tmp_path: Path
) -> None:
    """Bytes, lengths and header fields: each is one of our errors, and the model stays."""
    data, chance = good.read_bytes(), random.Random(20)
    path = tmp_path / "bad.safetensors"
    target = Structure.of_recipe(load_recipe("v12b", "nano"))
    before = snapshot(model)
    for number in range(CORRUPTIONS):
        content = corrupt(data, chance)
        assert content != data
        path.write_bytes(content)
        with pytest.raises(MinifoldError) as error:  # noqa: PT012 - whichever step notices it
            file = open_weights(path)
            plan = plan_migration(Structure.of_file(file), target, allow_mismatch=True)
            apply(plan, file.load(), model)
            raise AssertionError(f"corruption {number} went unnoticed")
        assert error.value.exit_code in (2, 3)
        with pytest.raises(MinifoldError):
            load_model(path)
        assert path.read_bytes() == content
    assert unchanged(model, before)
    assert list(tmp_path.iterdir()) == [path]


class Malicious:
    """What a pickle can do to those who load it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(
    model: FoldModel, tmp_path: Path, zipped: bool
) -> None:
    mark, path = tmp_path / "executed", tmp_path / "evil.pt"
    content = {"model": model.state_dict(), "optimizer": Malicious(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ProtectedError, match=r"holds more than tensors \(posix.system\)"):
        open_weights(path)
    plain = tmp_path / "plain.pt"
    plain.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(MinifoldError):
        open_weights(plain)
    assert not mark.exists()


def test_a_damaged_pickle_is_told_in_words(model: FoldModel, tmp_path: Path) -> None:
    path = tmp_path / "cut.pt"
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RequestError, match="is not a weights file"):
        open_weights(path)
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, path)
    with pytest.raises(RequestError, match="holds no tensors under names"):
        open_weights(path)


def foreign(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[Any, list[str]]]:
    """Checkpoints as others write them, and what the report must name."""

    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}

    wrong = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    compiled = {name.replace(".blocks.", ".blocks._orig_mod."): t for name, t in tensors.items()}
    return {
        "bare": (tensors, []),
        "parallel": (under("module."), ["took 'module.' off names"]),
        "stacked": (under("module._orig_mod."), ["'module.'", "'_orig_mod.'"]),
        "compiled inside": (compiled, ["'_orig_mod.'"]),
        "nested": ({"state_dict": under("module."), "epoch": 3}, ["took 'state_dict' and left"]),
        "twice nested": ({"model": {"state_dict": tensors}}, ["'model'", "'state_dict'"]),
        "average": ({"model": wrong, "ema": tensors}, ["took 'ema' and left model"]),
        "flat average": (wrong | under("ema."), ["took the averages"]),
        "half": ({n: t.half() for n, t in tensors.items()}, ["F16 becomes"]),
    }


@pytest.mark.parametrize("suffix", ["zip.pt", "old.pt", "safetensors"])
def test_foreign_files_are_recognised_and_named(
    model: FoldModel, tmp_path: Path, suffix: str
) -> None:
    from minifold_core.weights.report import Report

    target = Structure.of_recipe(load_recipe("v12b", "nano"))
    for kind, (content, said) in foreign(snapshot(model)).items():
        path = tmp_path / f"{kind}.{suffix}"
        if suffix != "safetensors":
            torch.save(content, path, _use_new_zipfile_serialization=suffix == "zip.pt")
        elif all(isinstance(value, torch.Tensor) for value in content.values()):
            save_file(content, path)
        else:
            continue
        file = open_weights(path)
        plan = plan_migration(Structure.of_file(file), target)
        into = perturbed("v12b", **{"training.learning_rate": 1e-4})
        apply(plan, file.load(), into)
        for name, tensor in into.state_dict().items():
            torch.testing.assert_close(tensor, model.state_dict()[name], atol=2e-3, rtol=0)
            assert kind == "half" or torch.equal(tensor, model.state_dict()[name])
        notes = "; ".join(Report.of(plan, file).notes)
        assert all(words in notes for words in said), (kind, notes)
        assert ("pickle" in notes) == (suffix != "safetensors")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    save_file({"module.a": torch.zeros(1), "a": torch.ones(1)}, tmp_path / "two.safetensors")
    with pytest.raises(RequestError, match="both mean 'a'"):
        open_weights(tmp_path / "two.safetensors")


def test_a_foreign_file_is_no_model_by_itself(model: FoldModel, tmp_path: Path) -> None:
    save_file(snapshot(model), tmp_path / "bare.safetensors")
    for load in (load_model, read_header):
        with pytest.raises(RequestError, match="holds no weights written by minifold"):
            load(tmp_path / "bare.safetensors")
