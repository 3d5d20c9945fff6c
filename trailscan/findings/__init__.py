"""What the rows mean: sessions, stories of an event, integrity, coverage. Never formats, never reads arguments."""
