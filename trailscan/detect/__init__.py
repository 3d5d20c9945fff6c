"""Detection: rules in several languages compiled and run over the archive."""
