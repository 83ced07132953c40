"""What the server answers besides pages: endpoints, metrics, readiness, memory."""
