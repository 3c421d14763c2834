"""Pictures for papers: one module for each, and one style for all. Drawing imports matplotlib."""
