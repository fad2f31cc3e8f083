"""Rays: loss along lines from a minimum, and the radii where it reaches a threshold."""
