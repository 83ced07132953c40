"""What people say about banners: labels, claims, triage, and how well reviewers agree."""
