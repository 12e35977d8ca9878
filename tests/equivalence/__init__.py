"""Agreement with implementations that we trust, in float64."""
