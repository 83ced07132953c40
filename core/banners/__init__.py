"""What a banner's clicks look like, should look like, and how they break."""
