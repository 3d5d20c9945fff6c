"""The archive as a folder on disk: objects, manifest, custody log, lock. Knows nothing of records."""
