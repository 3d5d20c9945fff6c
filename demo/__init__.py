"""A demonstration that needs no AWS account: a sample bucket, a local S3 server, and the commands a responder would type."""
