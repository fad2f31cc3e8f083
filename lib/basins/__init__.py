"""Measure how large the basin is around a minimum that a neural network found."""
