"""Version v13-trunk: data only, see ``recipe.toml``."""
