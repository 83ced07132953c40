"""Click bins, what they came from, and what was rejected."""


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


def m014_halves() -> str:
    """Digests in two halves: a lake keeps no numbers of 128 bits."""
    return """
    CREATE TABLE click_digest (           -- of click_ids already counted
        ingest_id UUID NOT NULL,
        high UBIGINT NOT NULL,
        low UBIGINT NOT NULL);
    INSERT INTO click_digest
        SELECT ingest_id, (click_key >> 64)::UBIGINT, (click_key & 18446744073709551615::UHUGEINT)::UBIGINT FROM click_seen;
    DROP TABLE click_seen;
    ALTER TABLE click_digest RENAME TO click_seen;
    """


def m015_layout() -> str:
    """How a lake lays out bins: old days go file by file, and one banner is found without reading a whole day.

    Small groups of rows are quick to read, but all are listed at the end of a day's file, which is read first. At ten million rows a day,
    as in `benchmarks.dashboard.pages`, the list of groups of 2,048 rows takes longer to read than a group of 16,384.
    """
    return """
    ALTER TABLE heatmap_day SET PARTITIONED BY (day);
    ALTER TABLE heatmap_day SET SORTED BY (banner_id);
    CALL lake.set_option('parquet_row_group_size', 16384, table_name => 'heatmap_day');
    """


def m017_taken_back() -> str:
    """What an ingest is recognised by, who made it, and the events that took ingests back. Ingests from before have no `ingest_file`."""
    return """
    CREATE TABLE ingest_file (
        ingest_id UUID NOT NULL,
        path VARCHAR NOT NULL,            -- resolved, without .gz; upload:NAME where it came through a browser
        text_hash VARCHAR NOT NULL,       -- SHA-256 of the unpacked bytes
        n_text BIGINT NOT NULL,           -- unpacked bytes
        n_clicks BIGINT NOT NULL,
        author VARCHAR NOT NULL);
    CREATE TABLE ingest_undo (
        event_id UUID NOT NULL,           -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        ingest_id UUID NOT NULL,          -- its bins and digests are gone, its rejects stay
        author VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        replaced_by UUID);                -- the ingest of the newer version, NULL where there is none
    CREATE VIEW ingest_current AS
        SELECT i.*, f.path, f.text_hash, f.n_text, f.author,
            coalesce(f.n_clicks, CASE WHEN json_extract_string(i.mapping, '$.count') IS NULL THEN i.n_accepted END) AS n_clicks,
            u.happened_at AS undone_at, u.author AS undone_by, u.reason AS undone_reason, u.replaced_by
        FROM ingest i LEFT JOIN ingest_file f USING (ingest_id)
        LEFT JOIN (SELECT * FROM ingest_undo QUALIFY row_number() OVER (PARTITION BY ingest_id ORDER BY event_id) = 1) u USING (ingest_id);
    """


def m018_segments() -> str:
    """Segments of clicks, such as devices; NULL where a click has none. Rows of several segments of a banner and day add up."""
    return """
    ALTER TABLE heatmap_day ADD COLUMN segment VARCHAR;
    CREATE TABLE ingest_segment (
        ingest_id UUID NOT NULL,
        segment VARCHAR NOT NULL,
        n_clicks BIGINT NOT NULL);
    ALTER TABLE result ADD COLUMN segment VARCHAR;  -- the segment whose clicks alone show the fault; NULL = all show it
    """


def m019_grid_names() -> str:
    """Names of grids that logs name by a text; the number stands for the grid everywhere else."""
    return """
    CREATE TABLE grid_name (
        grid_id BIGINT NOT NULL,
        name VARCHAR NOT NULL,
        ingest_id UUID NOT NULL);         -- the ingest that brought it first
    """


def m021_mappings() -> str:
    """Mappings of logs that were saved under a name; nothing is overwritten, the newest of a name holds."""
    return """
    CREATE TABLE saved_mapping (
        mapping_id UUID NOT NULL,         -- UUIDv7: sorts by time
        happened_at TIMESTAMP NOT NULL,
        author VARCHAR NOT NULL,
        name VARCHAR NOT NULL,
        columns JSON NOT NULL,            -- of the file that it was made for
        mapping JSON NOT NULL);           -- ours = theirs, and how the log is read
    CREATE VIEW saved_mapping_current AS
        SELECT * FROM saved_mapping QUALIFY row_number() OVER (PARTITION BY name ORDER BY mapping_id DESC) = 1;
    """
