"""Revenue out of stored work: declared contracts, evidence by period, the kept schedule, and the ERP's beside it."""
