"""Version v15-ipa: data only, see ``recipe.toml``."""
