"""Who may ask for what: keys and bearer tokens, scopes, limits a caller, and the audit log."""
