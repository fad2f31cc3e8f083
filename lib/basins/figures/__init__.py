"""Figures, each drawn from a cube alone."""
