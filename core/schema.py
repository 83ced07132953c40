"""The tables, as numbered steps that are applied once each, in order, each in its own transaction.

Append-only throughout: no sequences, no primary-key upserts, UUIDv7 ids, current state by `QUALIFY` views. A step that
has been released is never edited; a change is a new step. All times are naive UTC.
"""

from collections.abc import Callable

import duckdb

STEPS: list[Callable[[], str]] = []


def step(function: Callable[[], str]) -> Callable[[], str]:
    """Registers the SQL of one step under its function's name."""
    STEPS.append(function)
    return function


@step
def m001_clicks() -> str:
    """Click bins and where they came from."""
    return """
    CREATE TABLE ingest (
        ingest_id UUID NOT NULL,
        source VARCHAR NOT NULL,          -- file name as the user gave it
        content_hash VARCHAR NOT NULL,    -- of the bytes and of the mapping; the same file again is recognised by it
        n_bytes BIGINT NOT NULL,
        n_rows BIGINT NOT NULL,           -- n_rows = n_accepted + n_rejected
        n_accepted BIGINT NOT NULL,
        n_rejected BIGINT NOT NULL,
        n_banners BIGINT NOT NULL,
        first_day DATE, last_day DATE,
        mapping JSON,                     -- ours = theirs
        started_at TIMESTAMP NOT NULL,
        finished_at TIMESTAMP NOT NULL);
    CREATE TABLE reject (
        ingest_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        line BIGINT NOT NULL,             -- 1-based line of the file (row of a Parquet file)
        reason VARCHAR NOT NULL,
        value VARCHAR,                    -- what broke the rule
        raw VARCHAR);                     -- the row, at most 500 characters
    CREATE TABLE banner (
        banner_id VARCHAR NOT NULL,
        grid_id BIGINT NOT NULL,
        n_products SMALLINT NOT NULL,
        domain VARCHAR NOT NULL,
        ingest_id UUID NOT NULL);         -- the ingest that brought it first; one row a banner
    CREATE TABLE heatmap_day (            -- several rows a banner and day add up; each ingest's rows stand sorted by banner_id
        ingest_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        day DATE NOT NULL,
        n_clicks UINTEGER NOT NULL,
        bins USMALLINT[] NOT NULL,        -- row * 40 + col, ascending
        counts UINTEGER[] NOT NULL);
    CREATE TABLE click_seen (             -- 128-bit digests of click_ids already counted
        ingest_id UUID NOT NULL,
        click_key UHUGEINT NOT NULL);
    """


@step
def m002_runs() -> str:
    """Scoring runs. A run's rows appear in one transaction together with its `finished` event, or not at all."""
    return """
    CREATE TABLE run_event (
        run_id UUID NOT NULL,
        happened_at TIMESTAMP NOT NULL,
        state VARCHAR NOT NULL CHECK (state IN ('started', 'finished', 'failed', 'cancelled')),
        detail JSON);
    CREATE TABLE run_info (               -- one row a finished run
        run_id UUID NOT NULL,
        started_at TIMESTAMP NOT NULL,
        finished_at TIMESTAMP NOT NULL,
        first_day DATE, last_day DATE,
        grids BIGINT[],                   -- NULL = every grid
        n_banners BIGINT NOT NULL,
        n_clicks BIGINT NOT NULL,
        n_flagged BIGINT NOT NULL,
        n_false_expected DOUBLE NOT NULL, -- expected false alarms among the flagged, sum of local false discovery rates
        fdr DOUBLE NOT NULL,              -- nominal
        seconds DOUBLE NOT NULL,
        settings JSON);                   -- versions, seed, weights in use
    CREATE TABLE run_detector (
        run_id UUID NOT NULL,
        detector VARCHAR NOT NULL,
        family VARCHAR NOT NULL,
        reads VARCHAR NOT NULL,
        fit_s DOUBLE NOT NULL,
        score_s DOUBLE NOT NULL,
        n_scored BIGINT NOT NULL,
        weights VARCHAR);
    CREATE TABLE reference (              -- expected click distribution of a group
        run_id UUID NOT NULL,
        reference_id INTEGER NOT NULL,    -- unique within its run
        grid_id BIGINT NOT NULL,
        n_products SMALLINT,              -- NULL = all of the grid
        domain VARCHAR,                   -- NULL = all of the grid and n_products
        n_banners BIGINT NOT NULL,
        n_clicks BIGINT NOT NULL,
        p FLOAT[] NOT NULL);              -- 1600 shares, sum 1
    CREATE TABLE result (                 -- one row a banner and run
        run_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        grid_id BIGINT NOT NULL,
        n_products SMALLINT NOT NULL,
        domain VARCHAR NOT NULL,
        n_clicks BIGINT NOT NULL,
        reference_id INTEGER NOT NULL,
        combined DOUBLE NOT NULL,         -- higher = more anomalous
        p_value DOUBLE NOT NULL,
        p_broken DOUBLE NOT NULL,         -- 1 - local false discovery rate, 0..1
        flagged BOOLEAN NOT NULL,
        position INTEGER NOT NULL,        -- 1 = strongest of the run
        n_agree SMALLINT NOT NULL,        -- detectors whose own p_value is at most 0.05 …
        n_detectors SMALLINT NOT NULL,    -- … of so many
        fault VARCHAR,                    -- best fault family, NULL where no template beats the reference
        fault_size DOUBLE,
        fault_detail JSON,                -- parameters that rebuild the template
        log_odds DOUBLE,                  -- log-likelihood of the best template minus that of the reference
        runner_up VARCHAR,
        margin DOUBLE,                    -- log-likelihood of the best minus that of the next family
        sentence VARCHAR,                 -- the diagnosis in words
        since DATE);                      -- first day of the fault, flagged banners only
    CREATE TABLE score (                  -- stands sorted by banner_id within a run
        run_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        detector VARCHAR NOT NULL,
        score DOUBLE NOT NULL,
        normalised DOUBLE NOT NULL,
        p_value DOUBLE NOT NULL);
    CREATE TABLE heatmap (                -- flagged banners as the run scored them; stands sorted by position, as queues show them
        run_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        position INTEGER NOT NULL,
        bins USMALLINT[] NOT NULL,
        counts UINTEGER[] NOT NULL);
    CREATE TABLE evidence (               -- flagged banners: what each day says for the diagnosed fault
        run_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        day DATE NOT NULL,
        n_clicks BIGINT NOT NULL,
        log_odds DOUBLE NOT NULL);        -- log-likelihood of the best template minus that of the reference on that day
    CREATE TABLE run_day (                -- daily state of a grid as this run saw it
        run_id UUID NOT NULL,
        grid_id BIGINT NOT NULL,
        day DATE NOT NULL,
        n_banners BIGINT NOT NULL,        -- banners with a click on that day
        n_broken BIGINT NOT NULL,         -- of these, flagged with since <= day
        n_new BIGINT NOT NULL);           -- flagged with since = day
    CREATE VIEW run AS
        SELECT e.run_id, e.state, e.happened_at AS state_at, e.detail, i.* EXCLUDE (run_id)
        FROM (SELECT * FROM run_event QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY happened_at DESC, state = 'started') = 1) e
        LEFT JOIN run_info i USING (run_id);
    """


@step
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


@step
def m004_embeddings() -> str:
    """Maps of a run's banners, computed by a child process and only read by pages. A map's rows appear in one transaction."""
    return """
    CREATE TABLE embedding (
        embedding_id UUID NOT NULL,       -- UUIDv7: sorts by time
        run_id UUID NOT NULL,
        feature VARCHAR NOT NULL,         -- name of an extractor, or 'heatmap'
        method VARCHAR NOT NULL CHECK (method IN ('pca', 'mvu')),
        weights VARCHAR,                  -- of the extractor; NULL = it has none
        n_points BIGINT NOT NULL,
        n_banners BIGINT NOT NULL,        -- of the run; the points are a sample where they are fewer
        n_fitted BIGINT NOT NULL,         -- points that the map was fitted on; the others were placed afterwards
        n_clusters BIGINT NOT NULL,
        shares DOUBLE[] NOT NULL,         -- share of the variance on the first, second and third axis
        near_share DOUBLE NOT NULL,       -- share of the variance of the features that `near` holds
        certificate JSON,                 -- MVU only
        aligned_to UUID,                  -- the earlier map that this one was turned to
        seconds DOUBLE NOT NULL,
        settings JSON,
        finished_at TIMESTAMP NOT NULL);
    CREATE TABLE embedding_point (        -- stands sorted by point within a map
        embedding_id UUID NOT NULL,
        point INTEGER NOT NULL,           -- 0, 1, …: flagged banners first, then decided ones, then the sample
        banner_id VARCHAR NOT NULL,
        x FLOAT NOT NULL, y FLOAT NOT NULL,                    -- place on the map with two axes
        u FLOAT NOT NULL, v FLOAT NOT NULL, w FLOAT NOT NULL,  -- place on the map with three
        cluster SMALLINT NOT NULL,        -- 0 = the largest; -1 = none
        near FLOAT[32] NOT NULL);         -- strongest directions of the unit features: for distances between banners
    CREATE TABLE embedding_anchor (       -- where the robust mean directions of the layouts lie
        embedding_id UUID NOT NULL,
        grid_id BIGINT NOT NULL,
        n_products SMALLINT NOT NULL,
        x FLOAT NOT NULL, y FLOAT NOT NULL,
        u FLOAT NOT NULL, v FLOAT NOT NULL, w FLOAT NOT NULL);
    """


@step
def m005_left_out() -> str:
    """Slow detectors look at some banners only: the others have no row in `score`, and are not taken to be in order."""
    return """
    ALTER TABLE result ADD COLUMN n_left_out SMALLINT DEFAULT 0;  -- detectors of the run that left the banner out
    """


@step
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


def migrate(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Applies the steps that this store lacks; returns their names. Each step and its record commit together."""
    con.execute("CREATE TABLE IF NOT EXISTS migration (name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)")
    done = {name for (name,) in con.execute("SELECT name FROM migration").fetchall()}
    applied = []
    for function in STEPS:
        name = function.__name__
        if name in done:
            continue
        con.execute("BEGIN")
        try:
            con.execute(function())
            con.execute("INSERT INTO migration VALUES (?, (now() AT TIME ZONE 'UTC')::TIMESTAMP)", [name])
        except BaseException:
            con.execute("ROLLBACK")
            raise
        con.execute("COMMIT")
        applied.append(name)
    return applied
