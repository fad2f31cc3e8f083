"""Volumes: radii in, log volumes with intervals and diagnostics out."""
