"""How sure a model is of each residue of what it sampled."""
