"""Tests of the rows that records become, and of the file that holds them."""
