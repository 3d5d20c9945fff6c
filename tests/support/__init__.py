"""What the tests and benchmarks run against: an S3 stand-in and a generator of invented CloudTrail."""
