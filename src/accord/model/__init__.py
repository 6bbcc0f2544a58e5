"""What the firm means by its words: canonical business objects, money, identities and facts. Pure: no I/O, no clock."""
