"""What ``x-slipway`` says of the metrics of a service."""
