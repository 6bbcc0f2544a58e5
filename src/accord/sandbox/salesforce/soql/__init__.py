"""SOQL: parsed, checked against the schema, and run over the rows of the org."""
