"""Data sets as arrays, and nested subsets of them."""
