"""The fixed slots of a model."""

SLOTS = ("encoder", "pair_stack", "aux_pair_stack", "denoiser")
"""In the order in which data flows; ``heads.NAME`` comes after."""
