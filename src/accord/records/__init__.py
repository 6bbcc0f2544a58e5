"""What we know: canonical records by version, provenance of each field, crosswalk of ids, ownership guard."""
