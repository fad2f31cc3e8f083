"""Losses on grids in parameter space, for pictures and for curves between minima."""
