"""Pages: one HTML file each, complete in itself, that asks nothing of any network."""
