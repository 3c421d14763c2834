"""Version v9: data only, see ``recipe.toml``."""
