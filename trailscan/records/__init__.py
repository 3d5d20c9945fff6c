"""Object bytes to CloudTrail records: inflating, unwrapping, sifting; damage comes out as a value."""
