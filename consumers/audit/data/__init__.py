"""Names that ship with the rules, read by `consumers.audit.vocabulary`."""
