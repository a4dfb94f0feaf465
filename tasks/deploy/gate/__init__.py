"""What has to be met before a deploy may begin."""
