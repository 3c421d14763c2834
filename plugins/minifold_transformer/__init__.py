"""A transformer that denoises Cα coordinates, without equivariance by construction."""
