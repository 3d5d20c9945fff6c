"""Questions: filters, times and networks become parameterised SQL, and an answer becomes a Table."""
