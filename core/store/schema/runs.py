"""Scoring runs and all that they found."""


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
        position INTEGER NOT NULL,        -- 1 = strongest of the run; the flagged ones have the first
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


def m005_left_out() -> str:
    """Slow detectors look at some banners only: the others have no row in `score`, and are not taken to be ok."""
    return """
    ALTER TABLE result ADD COLUMN n_left_out SMALLINT DEFAULT 0;  -- detectors of the run that left the banner out
    """


def m010_strangers() -> str:
    """Banners of grids that no earlier run knew, and whether their clicks fit the layout of any known grid."""
    return """
    CREATE TABLE stranger (               -- one row a banner of a new grid
        run_id UUID NOT NULL,
        banner_id VARCHAR NOT NULL,
        grid_id BIGINT NOT NULL,
        score DOUBLE NOT NULL,            -- higher = less like any known grid's layout
        nearest_grid_id BIGINT NOT NULL,  -- the known grid whose layout fits best
        fits_none BOOLEAN,                -- score past that of nearly all banners of known grids; NULL = the run held none of these
        held_back BOOLEAN NOT NULL);      -- its grid has too few banners to say what is normal there: never flagged
    """


def m013_tiers() -> str:
    """Runs in tiers: cheap detectors clear most banners, and a control sample says how many broken ones that loses."""
    return """
    ALTER TABLE result ADD COLUMN cleared_by SMALLINT;  -- tier that cleared the banner, NULL = every quick detector looked at it
    CREATE TABLE tier (
        run_id UUID NOT NULL,
        tier SMALLINT NOT NULL,
        name VARCHAR NOT NULL,
        n_in BIGINT NOT NULL,             -- banners that it looked at
        n_cleared BIGINT NOT NULL,
        seconds DOUBLE NOT NULL,
        cut DOUBLE,                       -- score from which on it lets banners through; NULL = the last tier, which clears none
        n_found BIGINT,                   -- broken by all detectors, in the control sample
        n_lost BIGINT);                   -- of these, cleared by this tier
    """


def m020_grid_changes() -> str:
    """Grids whose clicks as a whole lie elsewhere: banners are compared with each other, so none of them is flagged for it."""
    return """
    CREATE TABLE grid_change (            -- one row a changed grid
        run_id UUID NOT NULL,
        grid_id BIGINT NOT NULL,
        since DATE NOT NULL,              -- first day that differs; the window's first day where it differs from an earlier run's
        is_within BOOLEAN NOT NULL,       -- the window itself shows the change
        moved DOUBLE NOT NULL,            -- share of the clicks that lie elsewhere, 0..1
        n_before DOUBLE, n_after DOUBLE NOT NULL,  -- clicks compared, no banner counting for too much; NULL = an earlier run's reference
        fault VARCHAR, sentence VARCHAR); -- which fault looks like it
    """
