"""Choices among self-supervised detectors."""


def m012_selections() -> str:
    """What was trained and what selectors said of it, computed by a child process; and which model runs take, as events."""
    return """
    CREATE TABLE model_selection (
        selection_id UUID NOT NULL,       -- UUIDv7: sorts by time
        run_id UUID NOT NULL,
        finished_at TIMESTAMP NOT NULL,
        ratio DOUBLE NOT NULL,            -- assumed share of broken banners
        n_train BIGINT NOT NULL,
        n_test BIGINT NOT NULL,           -- banners without a label that selectors saw
        n_broken BIGINT NOT NULL,         -- labelled ones, which only the ROC-AUCs rest on
        n_ok BIGINT NOT NULL,
        seconds DOUBLE NOT NULL,
        settings JSON,
        report JSON NOT NULL);            -- a row a candidate, a row a selector
    CREATE TABLE model_choice (           -- the latest one holds
        choice_id UUID NOT NULL,
        happened_at TIMESTAMP NOT NULL,
        chosen_by VARCHAR NOT NULL,
        selection_id UUID,                -- NULL: runs go back to the detectors without it
        candidate VARCHAR,
        detector VARCHAR,
        fields JSON);
    """
