"""Flow matching on Cα coordinates, with Euler steps."""
