"""Result files: their schema, how they are written, merged, opened and asked."""
