"""Loaders that bring a firm's files into its systems, from where Accord then takes them over like any other change."""
