"""SLURM as the workflow meets it: what the cluster offers, and jobs that a killed run left."""
