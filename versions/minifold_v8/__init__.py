"""Version v8: data only, see ``recipe.toml``."""
