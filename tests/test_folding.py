"""Batches of samples: one trunk per protein and condition, any company, an end of memory."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from minifold_core.errors import MinifoldError, RequestError
from minifold_core.folding import PAIRS_AT_ONCE, Target, _groups, fold, steps_of
from minifold_core.recipe_schema import SamplingConfig
from weights_files import perturbed

LONG = Target("long", "ACDEFGHIKLMNPQRSTVWY" * 5)
SHORT = Target("short", "MQIFVKTLTGKTITLEVEPSD")
FEW = SamplingConfig(steps=4)


@pytest.fixture(scope="module")
def model():
    return perturbed("v13")


@pytest.mark.parametrize(("guidance", "passes"), [(1.0, 1), (0.0, 1), (2.0, 2)])
@pytest.mark.parametrize("at_once", [None, 3])
def test_the_trunk_runs_once_per_condition_for_all_copies(
    model, monkeypatch, guidance, passes, at_once
):
    seen, calls = [], []
    trunk, denoise = model.trunk, model.denoise
    monkeypatch.setattr(model, "trunk", lambda batch: seen.append(batch.tokens) or trunk(batch))
    monkeypatch.setattr(model, "denoise", lambda *a: calls.append(len(a[1])) or denoise(*a))
    settings = SamplingConfig(steps=2, guidance=guidance)
    told = []
    options = {"count": 8, "at_once": at_once}
    folds = list(fold(model, [LONG], settings, on_step=told.append, **options))
    assert [done.copy for done in folds] == list(range(1, 9))
    assert [len(tokens) for tokens in seen] == [1] * passes
    shares = [8] if at_once is None else [3, 3, 2]
    assert calls == [passes * share for share in shares for _ in range(2)]
    assert sum(told) == steps_of([LONG], settings, **options)
    assert len({tuple(done.coords[0].tolist()) for done in folds}) == 8


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_company_does_not_change_a_sample(model, eta):
    settings = SamplingConfig(steps=20, eta=eta, guidance=1.5)

    def trace(targets, copy=1, seed=0, **options):
        folds = fold(model, targets, settings, seed=seed, record=True, **options)
        (one,) = (d for d in folds if (d.target.name, d.copy) == ("short", copy))
        return one.coords

    alone = trace([SHORT])
    size = alone.norm(dim=-1).max()
    for company in (
        trace([SHORT], count=3),
        trace([SHORT], count=5, at_once=2),
        trace([LONG, SHORT], count=2),
        trace([SHORT, Target("other", SHORT.sequence)]),
    ):
        assert (company - alone).norm(dim=-1).max() < 1e-4 * size
    for other in (trace([SHORT], copy=2, count=2), trace([SHORT], seed=1)):
        assert (other - alone).norm(dim=-1).max() > 0.1 * size


def test_batches_keep_to_the_budget_and_leave_nobody_out():
    lengths = [20, 25, 60, 60, 61, 100, 124, 125, 300, 500, 500, 900]
    targets = [Target(f"t{i}", "A" * n) for i, n in enumerate(lengths)]
    for count, at_once in ((1, None), (40, None), (7, 5), (1, 1)):
        done: Counter[tuple[str, int]] = Counter()
        for group, shares in _groups(targets, count, at_once):
            longest = max(len(target.sequence) for target in group)
            for share in shares:
                samples = len(group) * len(share)
                assert samples == 1 or samples * longest**2 <= PAIRS_AT_ONCE
                assert samples <= (at_once or samples)
                done.update((target.name, copy) for target in group for copy in share)
        assert set(done.values()) == {1}
        assert len(done) == count * len(targets)
    # Long chains go one by one, short ones are many at once.
    assert len(_groups(targets[9:11], 1, None)) == 2
    assert len(_groups(targets[:8], 1, None)) == 1


def test_a_want_of_memory_says_what_to_lower(model, monkeypatch):
    def cpu(*arguments):
        return torch.empty(2**60)

    def cuda(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    guided = SamplingConfig(steps=2, guidance=2.0)
    for failing in (cpu, cuda):
        with monkeypatch.context() as patch:
            patch.setattr(model, "denoise", failing)
            with pytest.raises(MinifoldError, match=r"4 structures of up to 100 .*--at-once.*guid"):
                list(fold(model, [LONG], guided, count=4))
            with pytest.raises(MinifoldError, match=r"1 structure of up to 100 .* shorter"):
                list(fold(model, [LONG], FEW))

    def broken(*arguments):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(model, "denoise", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(fold(model, [LONG], FEW))


def test_what_is_skipped_changes_nothing_of_the_rest(model):
    targets, options = [LONG, SHORT, Target("other", SHORT.sequence)], {"count": 3, "at_once": 2}
    skip = {("long", 1), *(("short", copy) for copy in (1, 2, 3)), ("other", 2)}
    whole, told = {}, []
    for each in fold(model, targets, FEW, **options):
        whole[each.target.name, each.copy] = each.coords
    for each in fold(model, targets, FEW, skip=skip, on_step=told.append, **options):
        apart = each.coords - whole.pop((each.target.name, each.copy))
        assert apart.norm(dim=-1).max() < 1e-2
    assert set(whole) == skip
    assert sum(told) == steps_of(targets, FEW, skip=skip, **options)
    assert list(fold(model, [SHORT], FEW, skip=skip, **options)) == []


def test_what_cannot_fit_is_refused_before_anything_is_computed(model, monkeypatch):
    trunk, seen = model.trunk, []
    monkeypatch.setattr(model, "trunk", lambda batch: seen.append(batch) or trunk(batch))
    monkeypatch.setattr("minifold_core.folding.available_memory", lambda device: 2**20)
    longer = Target("longer", 2 * LONG.sequence)
    with pytest.raises(RequestError, match=r"longer has 200 residues: .* GiB .* 0\.0 GiB free"):
        fold(model, [SHORT, longer], FEW)
    assert len(seen) == 1  # the estimate's
    # What models train on is not looked at, nor what is skipped.
    assert len(list(fold(model, [longer, SHORT], FEW, skip={("longer", 1)}))) == 1
    assert len(list(fold(model, [LONG], FEW))) == 1
    monkeypatch.setattr("minifold_core.folding.available_memory", lambda device: None)
    assert len(list(fold(model, [longer], FEW))) == 1


def test_a_fold_carries_its_way(model):
    (done,) = fold(model, [SHORT], FEW, record=True)
    assert done.trajectory.states.shape == (4, len(SHORT.sequence), 3)
    assert torch.equal(done.trajectory.predictions[-1], done.coords)
    assert done.seconds > 0


def test_a_sample_that_is_no_number_is_named(model, monkeypatch):
    denoise = model.denoise

    def spoilt(*given):
        found = denoise(*given)
        return found | {"coords": found["coords"] * torch.nan}

    monkeypatch.setattr(model, "denoise", spoilt)
    with pytest.raises(MinifoldError, match="sample 1 of short is not finite"):
        list(fold(model, [SHORT], FEW))
