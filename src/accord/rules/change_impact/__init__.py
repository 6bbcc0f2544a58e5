"""What a contract change would do, before anybody agrees to it: billing, limits, revenue and margin, in money."""
