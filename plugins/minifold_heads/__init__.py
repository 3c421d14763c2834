"""Prediction heads: radius of gyration and ordinal distances."""
