"""Tests of the room that turns bytes into records."""
