"""The tests of trailscan, and what they run against."""
