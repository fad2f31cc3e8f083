"""Training: all seeds of a job at once, on stacked parameters."""
