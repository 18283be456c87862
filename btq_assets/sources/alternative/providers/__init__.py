"""Providers of option quotes, off-exchange volume and on-chain metrics: the only code here that opens sockets."""
