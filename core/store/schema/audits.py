"""Audits of what features hold."""


def m011_audits() -> str:
    """What representations hold of broken banners, computed by a child process. An audit's rows appear in one transaction."""
    return """
    CREATE TABLE audit (
        audit_id UUID NOT NULL,           -- UUIDv7: sorts by time
        run_id UUID NOT NULL,
        finished_at TIMESTAMP NOT NULL,
        n_broken BIGINT NOT NULL,         -- labelled banners that it rests on …
        n_ok BIGINT NOT NULL,
        n_named BIGINT NOT NULL,          -- … of the broken ones, those whose fault a reviewer named; the others' is the diagnosis
        n_families BIGINT NOT NULL,
        advice VARCHAR NOT NULL,          -- would more labels help, or better features?
        missing VARCHAR,                  -- what fault families could not be held out for; NULL = they were
        left_out VARCHAR[] NOT NULL,      -- extractors without stored features or weights
        seconds DOUBLE NOT NULL,
        settings JSON);                   -- trees, seed, number of label events, weights
    CREATE TABLE audit_figure (           -- one row a representation and figure
        audit_id UUID NOT NULL,
        position SMALLINT NOT NULL,
        representation VARCHAR NOT NULL,
        score_by VARCHAR NOT NULL,        -- the detector whose score it is
        n_dims INTEGER NOT NULL,
        figure VARCHAR NOT NULL CHECK (figure IN ('score', 'oracle', 'oracle_all', 'held_out', 'not_extracted', 'not_represented')),
        value DOUBLE, low DOUBLE, high DOUBLE);  -- NULL = not known
    """
