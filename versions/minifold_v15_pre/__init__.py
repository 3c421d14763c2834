"""Version v15-pre: data only, see ``recipe.toml``."""
