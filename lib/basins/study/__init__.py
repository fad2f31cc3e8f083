"""Studies: a YAML file in, a checked description and its jobs out."""
