"""The version ``packer``: side chains on native backbones."""
