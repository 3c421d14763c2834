"""Version v11: data only, see ``recipe.toml``."""
