"""Maps of a run."""


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
