"""Decisions about flagged banners."""


def m003_triage() -> str:
    """What people decided about flagged banners, as events; undo is an event too."""
    return """
    CREATE TABLE triage_event (
        event_id UUID NOT NULL,           -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        batch_id UUID NOT NULL,           -- one action of one person, may cover many banners
        run_id UUID NOT NULL,             -- the run on the screen
        banner_id VARCHAR NOT NULL,
        op VARCHAR NOT NULL CHECK (op IN ('confirm', 'dismiss', 'snooze', 'reopen', 'undo')),
        author VARCHAR NOT NULL,
        note VARCHAR,
        until TIMESTAMP,                  -- snooze only
        undo_of UUID);                    -- the batch_id taken back, op = 'undo' only
    CREATE VIEW triage_current AS
        SELECT banner_id, happened_at, author, note, op, until,
            CASE op WHEN 'confirm' THEN 'confirmed' WHEN 'dismiss' THEN 'dismissed'
                    WHEN 'snooze' THEN CASE WHEN until > (now() AT TIME ZONE 'UTC')::TIMESTAMP THEN 'snoozed' ELSE 'open' END
                    ELSE 'open' END AS state
        FROM triage_event e
        WHERE op <> 'undo' AND NOT EXISTS (FROM triage_event u WHERE u.op = 'undo' AND u.undo_of = e.batch_id AND u.banner_id = e.banner_id)
        QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY event_id DESC) = 1;
    """


def m016_seen() -> str:
    """What holds for a banner names the event that it rests on: a page hands it back with a decision, so that no change goes unseen."""
    return """
    DROP VIEW triage_current;
    CREATE VIEW triage_current AS
        SELECT banner_id, event_id, batch_id, happened_at, author, note, op, until,
            CASE op WHEN 'confirm' THEN 'confirmed' WHEN 'dismiss' THEN 'dismissed'
                    WHEN 'snooze' THEN CASE WHEN until > (now() AT TIME ZONE 'UTC')::TIMESTAMP THEN 'snoozed' ELSE 'open' END
                    ELSE 'open' END AS state
        FROM triage_event e
        WHERE op <> 'undo' AND NOT EXISTS (FROM triage_event u WHERE u.op = 'undo' AND u.undo_of = e.batch_id AND u.banner_id = e.banner_id)
        QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY event_id DESC) = 1;
    """
