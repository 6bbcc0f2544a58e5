"""The engine: inbox, event log, process driver, effects, timers, leases, budgets, breakers, replay."""
