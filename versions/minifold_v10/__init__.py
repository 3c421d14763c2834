"""Version v10: data only, see ``recipe.toml``."""
