"""From AWS into the archive: listings, downloads, Event history."""
