"""Questions: filters become SQL, and an answer becomes a Table."""
