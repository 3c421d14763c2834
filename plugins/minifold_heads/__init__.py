"""Prediction heads: radius of gyration, and distances, ordinal or as classes."""
