"""Who may do what: API clients, roles, legal-entity scopes, sessions, the audit trail."""
