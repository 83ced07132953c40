"""Where a banner lies in a detector's latent space: job, worker and queries."""
