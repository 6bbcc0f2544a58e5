"""Revenue by ASC 606 and IFRS 15: an operational schedule to compare with the ERP's, never in its place."""
