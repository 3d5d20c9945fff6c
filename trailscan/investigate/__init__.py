"""One event or session in full: record, provenance, credential lineage, activity around it."""
