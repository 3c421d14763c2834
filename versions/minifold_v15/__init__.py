"""Version v15: data only, see ``recipe.toml``."""
