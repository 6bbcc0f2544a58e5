"""What all simulated vendors share: their shape, faults, and the drivers that serve them."""
