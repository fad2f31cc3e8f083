"""Directions in parameter space, and the coordinates in which they are random."""
