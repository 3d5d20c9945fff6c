"""The bytes as AWS delivered them: naming them, fetching them, keeping them."""
