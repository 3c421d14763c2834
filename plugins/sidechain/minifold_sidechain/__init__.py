"""Side chains: χ angles and atoms from backbones, as components of minifold."""
