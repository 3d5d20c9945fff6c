"""Facts of CloudTrail's own formats: object keys, digest files, windows of Event history. Pure: no input, no output."""
