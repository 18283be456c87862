"""Documents: the sample's are generated, SYNTHETIC, and carry no signal."""
