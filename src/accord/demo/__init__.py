"""The demonstration: a firm with three legal entities, its simulated vendors, and one deal from won to cash."""
