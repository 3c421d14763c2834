"""The E(n)-equivariant graph network denoiser."""
