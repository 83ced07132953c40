"""Threshold versions, which one is active, and what each says of a run."""


def m007_versions() -> str:
    """Published thresholds as events, and the verdicts on runs that follow from them. No run is changed by any of it."""
    return """
    CREATE TABLE threshold_version (
        version_id UUID NOT NULL,         -- UUIDv7: sorts by time
        number INTEGER NOT NULL,          -- v1, v2, …
        made_at TIMESTAMP NOT NULL,
        author VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        scope VARCHAR NOT NULL,           -- 'combined', or the name of the one detector that it judges by
        shots INTEGER NOT NULL,           -- labelled banners taken of every target grid
        source_grids BIGINT[] NOT NULL,   -- grids whose labels it was learned from
        target_grids BIGINT[],            -- grids that it judges; NULL = every grid
        method VARCHAR NOT NULL,          -- how the threshold was found
        value DOUBLE,
        n_labels INTEGER NOT NULL,
        run_id UUID NOT NULL,             -- the run on which its effect was seen
        base_id UUID,                     -- version that judges the other grids; NULL = the threshold without labels
        rule JSON NOT NULL,
        expected JSON NOT NULL);          -- of its flags on the target grids: precision, recall, F1, with intervals
    CREATE TABLE threshold_event (
        event_id UUID NOT NULL,           -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        op VARCHAR NOT NULL CHECK (op IN ('publish', 'roll_back')),
        version_id UUID,                  -- active from then on; NULL = the threshold without labels
        author VARCHAR NOT NULL,
        reason VARCHAR NOT NULL);
    CREATE TABLE verdict (                -- what a version says of a run: the newest one of a run is shown
        verdict_id UUID NOT NULL,         -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        run_id UUID NOT NULL,
        version_id UUID,                  -- NULL = the threshold without labels
        result_id UUID NOT NULL,          -- stands as run_id in result, heatmap, evidence and run_day; the run's own id for that threshold
        n_flagged BIGINT NOT NULL,
        n_false_expected DOUBLE NOT NULL);
    CREATE VIEW shown_run AS              -- finished runs with what is shown of them
        SELECT i.* REPLACE (coalesce(v.n_flagged, i.n_flagged) AS n_flagged,
                            coalesce(v.n_false_expected, i.n_false_expected) AS n_false_expected),
            coalesce(v.result_id, i.run_id) AS result_id, v.version_id
        FROM run_info i
        LEFT JOIN (SELECT * FROM verdict QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY verdict_id DESC) = 1) v USING (run_id);
    """
