"""Neighbours along the chain, and what the transformer denoiser reads of them."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from minifold_core.geometry.neighbours import neighbours
from minifold_core.testing import perturb
from minifold_transformer.local import ChainNeighbours

INDEX = torch.tensor([[0, 1, 2, 5, 6, 7], [0, 1, 2, 3, 0, 0]])
"""The first chain has lost residues 3 and 4, the second ends after four."""

MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]).bool()


def test_a_neighbour_is_as_far_in_number_as_in_rows() -> None:
    for k in (-3, -1, 1, 2):
        there, linked = neighbours(k, MASK, INDEX)
        for row in range(2):
            for i in range(6):
                j = i + k
                wanted = (
                    0 <= j < 6
                    and bool(MASK[row, i] & MASK[row, j])
                    and int(INDEX[row, j] - INDEX[row, i]) == k
                )
                assert bool(linked[row, i]) == wanted, (k, row, i)
                assert not wanted or int(there[i]) == j


def seen(trace, snr, reach=2, before=None):
    torch.manual_seed(0)
    module = perturb(ChainNeighbours(reach, 8).double())
    before = torch.zeros_like(trace) if before is None else before
    with torch.no_grad():
        return module, *module(trace, before, snr, MASK, INDEX)


def test_vectors_lead_to_neighbours_and_none_across_a_break() -> None:
    trace = torch.randn(2, 6, 3, dtype=torch.float64)
    module, _, apart = seen(trace, torch.full((2,), torch.inf).double())
    assert module.places == [-2, -1, 1, 2]
    spread = 0.38**2 / 3  # of a bond along one axis, in square model units
    assert_close(apart[0, 1, 2], (trace[0, 2] - trace[0, 1]) / spread**0.5)
    assert_close(apart[1, 3, 0], (trace[1, 1] - trace[1, 3]) / (2 * spread) ** 0.5)
    assert not apart[0, 2, 2:].any()  # the next residues are missing
    assert not apart[1, 4:].any()


def test_vectors_have_unit_variance_at_every_noise_level() -> None:
    """In a freely jointed chain, of which they are differences, plus noise."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = 4000
    steps = normal(rows, 6, 3) * 0.38 / 3**0.5
    module = ChainNeighbours(2, 8).double()
    for snr in (1e-6, 1.0, 1e6):
        level = torch.full((rows,), snr).double()
        signal = snr / (1 + snr)
        state = signal**0.5 * steps.cumsum(1) + (1 - signal) ** 0.5 * normal(rows, 6, 3)
        mask, index = torch.ones(rows, 6).bool(), torch.arange(6).expand(rows, 6)
        _, apart = module(state, state, level, mask, index)
        assert_close(
            apart[:, 2:4].square().mean((0, 1, 3)), torch.ones(4).double(), rtol=0.05, atol=0
        )


def test_features_ignore_shifts_and_hear_of_either_trace() -> None:
    trace, snr = torch.randn(2, 6, 3, dtype=torch.float64), torch.tensor([0.0, 3.0]).double()
    _, features, _ = seen(trace, snr)
    assert bool(features.isfinite().all())
    assert_close(seen(trace + 7, snr)[1], features)
    assert float((seen(trace * 2, snr)[1] - features)[MASK].abs().min()) > 1e-6
    assert float((seen(trace, snr, before=trace)[1] - features)[MASK].abs().min()) > 1e-6
