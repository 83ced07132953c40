"""What people were not allowed to do."""


def m009_refusals() -> str:
    """Writes that were refused, for admins. What people did do stands with their decisions."""
    return """
    CREATE TABLE refusal (
        refusal_id UUID NOT NULL,         -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        name VARCHAR NOT NULL,            -- who asked; empty = not signed in
        role VARCHAR CHECK (role IN ('viewer', 'analyst', 'reviewer', 'admin')),  -- at that time; NULL = not signed in
        action VARCHAR NOT NULL,
        detail VARCHAR);                  -- what it was about
    """
