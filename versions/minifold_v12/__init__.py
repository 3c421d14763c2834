"""Version v12: data only, see ``recipe.toml``."""
