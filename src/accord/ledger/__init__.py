"""Hour to cash: billable items, dispositions, postings, conservation."""
