"""Version v14: data only, see ``recipe.toml``."""
