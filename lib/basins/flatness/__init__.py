"""Flatness: sharpness and curvature of minima, and the maps that change them but no output."""
