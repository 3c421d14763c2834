"""The process of EDM on Cα coordinates, with Euler steps."""
