"""Who we are to AWS, and the services that are asked: S3, SQS, CloudTrail."""
