"""The one place that knows how ångström become model units.

Every public function speaks ångström and radians. Inside a model, coordinates are divided by
``MODEL_UNIT`` so that they have about unit variance (fixed-scale coordinates, since v11).
"""

MODEL_UNIT = 10.0
"""Ångström per model unit."""

CA_CA = 3.8
"""Distance of consecutive Cα atoms across a trans peptide bond, in ångström."""

SIGMA_DATA = 8.4
"""Spread of the Cα of a single chain along one axis, in ångström. A recipe whose denoiser, noise
levels and weights of noise levels do not agree on it is refused."""
