"""Preconditioning of a denoiser: its network sees, and makes, values of about unit variance."""

from __future__ import annotations

from torch import Tensor


def preconditioning(snr: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor]:
    """How a network F becomes a denoiser ``c_skip x_t + c_out F(c_in x_t)``.

    The coefficients of Karras et al. 2022 (Table 1, "Ours") for states that are variance
    preserving: theirs are ``x_t / √a``, so that ``c_in`` and ``c_skip`` are divided by ``√a``.

    Args:
        snr: signal-to-noise ratios [B], 0 to infinity.
        sigma_data: standard deviation of the data per axis, in the units of the states.

    Returns:
        ``c_in``, ``c_skip`` and ``c_out``, each [B] and finite: without signal ``c_skip`` is 0,
        without noise ``c_out`` is.
    """
    signal, noise = 1 / (1 + 1 / snr), 1 / (1 + snr)  # neither is 1 less a number close to 1
    variance = signal * sigma_data**2 + noise
    return (
        variance.rsqrt(),
        signal.sqrt() * sigma_data**2 / variance,
        noise.sqrt() * sigma_data * variance.rsqrt(),
    )
