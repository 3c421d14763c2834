"""Version v11b: data only, see ``recipe.toml``."""
