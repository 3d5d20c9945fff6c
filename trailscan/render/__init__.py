"""A Table or a report becomes bytes: one function a format, escaped for where it will be read."""
