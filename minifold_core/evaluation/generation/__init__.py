"""Judging generated structures against natural chains, without weights of any other model."""
