"""Labels as events, and what holds now."""


def m006_labels() -> str:
    """What reviewers say about banners, as events. `label_state` says what holds for a banner now."""
    return """
    CREATE TABLE label_event (
        event_id UUID NOT NULL,           -- UUIDv7: sorts by the time of writing
        happened_at TIMESTAMP NOT NULL,   -- when the reviewer said it: before event_id's time where a file brought it
        batch_id UUID NOT NULL,           -- one action: one label on a page, or one imported file
        banner_id VARCHAR NOT NULL,
        op VARCHAR NOT NULL CHECK (op IN ('label', 'adjudicate', 'undo')),
        label VARCHAR CHECK (label IN ('broken', 'ok', 'unsure')),
        reviewer VARCHAR NOT NULL,
        blind BOOLEAN,                    -- neither scores nor other labels were shown; NULL = not known
        seconds DOUBLE,                   -- from showing the banner to the label
        note VARCHAR,
        fault VARCHAR,                    -- fault family that the reviewer sees, broken banners only
        run_id UUID,                      -- the run on the screen
        undo_of UUID,                     -- the event_id taken back
        source VARCHAR NOT NULL,          -- 'page', or 'file NAME' of the imported file
        CHECK ((op = 'undo') = (undo_of IS NOT NULL)),
        CHECK ((op = 'undo') = (label IS NULL)));
    CREATE VIEW label_kept AS             -- what was not taken back
        FROM label_event e WHERE op <> 'undo' AND NOT EXISTS (FROM label_event u WHERE u.undo_of = e.event_id);
    CREATE VIEW label_current AS          -- each reviewer's newest label of a banner
        FROM label_kept WHERE op = 'label'
        QUALIFY row_number() OVER (PARTITION BY banner_id, reviewer ORDER BY happened_at DESC, event_id DESC) = 1;
    CREATE VIEW label_state AS            -- one row a labelled banner; label is NULL while it is disputed
        WITH vote AS (
            SELECT banner_id, count(*) AS n_reviewers, count(*) FILTER (label = 'broken') AS n_broken,
                count(*) FILTER (label = 'ok') AS n_ok, count(*) FILTER (label = 'unsure') AS n_unsure,
                CASE WHEN count(DISTINCT label) = 1 THEN any_value(label) END AS common
            FROM label_current GROUP BY banner_id),
        decision AS (
            SELECT banner_id, label, reviewer FROM label_kept WHERE op = 'adjudicate'
            QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY happened_at DESC, event_id DESC) = 1)
        SELECT banner_id, coalesce(d.label, v.common) AS label,
            CASE WHEN d.label IS NOT NULL THEN 'adjudicated' WHEN v.common IS NOT NULL THEN 'agreed' ELSE 'disputed' END AS state,
            coalesce(n_reviewers, 0) AS n_reviewers, coalesce(n_broken, 0) AS n_broken, coalesce(n_ok, 0) AS n_ok,
            coalesce(n_unsure, 0) AS n_unsure, d.reviewer AS adjudicator
        FROM vote v FULL JOIN decision d USING (banner_id);
    """
