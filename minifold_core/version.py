"""The version of this distribution, from its installed metadata."""

from importlib.metadata import version

__version__ = version("minifold")
