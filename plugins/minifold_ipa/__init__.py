"""The invariant point attention denoiser."""
