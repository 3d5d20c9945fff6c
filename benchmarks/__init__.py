"""How fast trailscan is, always as a ratio against a peer in the same run. See README.md."""
