"""Train, choose, audit and look into models."""
