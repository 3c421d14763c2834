"""Version v13-aligned: data only, see ``recipe.toml``."""
