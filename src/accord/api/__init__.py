"""The HTTP APIs: process tier for programs, health and metrics for machines, the door for vendors' pushes."""
