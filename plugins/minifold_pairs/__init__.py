"""Pair stacks: axial attention (v12) and triangle updates (v13)."""
