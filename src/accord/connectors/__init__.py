"""The vendors: one folder each, none knows another."""
