"""EventBridge event patterns, replayed over an archive: what would such a rule have sent? Never asks AWS anything."""
