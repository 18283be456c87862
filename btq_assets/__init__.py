"""BTQuant."""
