"""Version v13: data only, see ``recipe.toml``."""
