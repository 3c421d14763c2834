"""The losses of the published line."""
