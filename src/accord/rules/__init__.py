"""Pure decisions: activation gate, tax and entity routing, schedules, contract changes, facts. No I/O, no clock."""
