"""Version v13-gate: data only, see ``recipe.toml``."""
