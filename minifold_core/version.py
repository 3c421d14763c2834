"""The version of this distribution, from its installed metadata, and that of the plugin API."""

from importlib.metadata import version

__version__ = version("minifold")

PLUGIN_API = 1
"""What plugins may rely on; raised when something that they use changes its meaning or goes."""
