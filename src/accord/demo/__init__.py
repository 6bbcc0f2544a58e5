"""The demonstration: a consulting firm with three legal entities, its simulated vendors, and one deal from won to cash."""
