"""Version v12b: data only, see ``recipe.toml``."""
