"""What the server answers apart from pages: endpoints, metrics, readiness, memory."""
