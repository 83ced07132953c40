"""What was shown to which reviewer, when and why: claims, so that two never work on the same banner, and a record of the samples."""


def m008_claims() -> str:
    """Banners on reviewers' screens, as events. `shown` joins `label_event` by batch_id: the answer carries the id of its showing."""
    return """
    CREATE TABLE claim_event (
        event_id UUID NOT NULL,           -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        batch_id UUID NOT NULL,           -- one showing of one banner to one reviewer
        op VARCHAR NOT NULL CHECK (op IN ('show', 'skip', 'unskip', 'release')),
        banner_id VARCHAR NOT NULL,
        reviewer VARCHAR NOT NULL,
        run_id UUID NOT NULL,
        grid_id BIGINT NOT NULL,
        position INTEGER NOT NULL,        -- of the banner in its run
        mode VARCHAR NOT NULL,            -- the queue that the reviewer chose
        reason VARCHAR NOT NULL,          -- why this banner
        control BOOLEAN NOT NULL,         -- drawn at random from all banners of the run, or of from_grid
        from_grid BIGINT,                 -- the grid that the queue was limited to, NULL = none
        seed INTEGER NOT NULL,            -- of the order in which control banners are drawn
        expires_at TIMESTAMP NOT NULL);   -- until then no other reviewer gets this banner
    CREATE VIEW shown AS FROM claim_event WHERE op = 'show';
    """
