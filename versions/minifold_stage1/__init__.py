"""Version contact: data only, see ``recipe.toml``."""
