"""Records in DuckDB: the tables, how rows get in, and who may hold the file when."""
