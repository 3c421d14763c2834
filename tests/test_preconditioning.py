"""Preconditioning against the formulas of its paper, and what it is for."""

from __future__ import annotations

import torch

from minifold_core.diffusion.preconditioning import preconditioning


def test_it_is_edms_in_edms_own_scale() -> None:
    """Karras et al. 2022, Table 1 ("Ours"), on states x0 + σ ε."""
    sigma = torch.logspace(-4, 4, 50, dtype=torch.float64)
    for data in (0.5, 0.84, 3.0):
        c_in, c_skip, c_out = preconditioning(sigma**-2, data)
        per_state = (1 + sigma**2).sqrt()  # their states over ours
        total = sigma**2 + data**2
        torch.testing.assert_close(c_in / per_state, total.rsqrt())
        torch.testing.assert_close(c_skip / per_state, data**2 / total)
        torch.testing.assert_close(c_out, sigma * data / total.sqrt())


def test_what_a_network_sees_and_makes_has_unit_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 200_000, dtype=torch.float64, generator=generator)
    x0 = 0.84 * x0
    for snr in (1e-6, 0.3, 1.0, 40.0, 1e6):
        share = snr / (1 + snr)
        state = share**0.5 * x0 + (1 - share) ** 0.5 * noise
        c_in, c_skip, c_out = preconditioning(torch.tensor(snr, dtype=torch.float64), 0.84)
        target = (x0 - c_skip * state) / c_out
        assert abs(float((c_in * state).var()) - 1) < 0.02
        assert abs(float(target.var()) - 1) < 0.02
        # Of all c_skip this one leaves the network least to do: its target is not in the state.
        assert abs(float((target * state).mean())) < 0.02


def test_it_is_finite_without_signal_and_without_noise() -> None:
    c_in, c_skip, c_out = preconditioning(torch.tensor([0.0, 1e-30, 1e30, torch.inf]), 0.84)
    torch.testing.assert_close(c_in, torch.tensor([1, 1, 1 / 0.84, 1 / 0.84]))
    torch.testing.assert_close(c_skip, torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(c_out, torch.tensor([0.84, 0.84, 0.0, 0.0]))
