"""Tests of where evidence comes from: keys, places, folders, buckets, the archive."""
