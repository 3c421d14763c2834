"""Version v13-lr: data only, see ``recipe.toml``."""
