"""Alternative data: option quotes, off-exchange volume, on-chain metrics."""
