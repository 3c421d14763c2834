"""Denoising diffusion on Cα coordinates, with DDIM steps."""
