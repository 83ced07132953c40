"""Heatproof finds and explains broken ad banners from where people click on them.

LAYERS is read by a test: a module may import from its own layer and from those above it in this list, never from below.
"""

LAYERS: list[set[str]] = [
    {"settings", "errors", "logs", "masking", "disk_space", "strict_json", "changes"},
    {"tables", "clicks", "heatmaps", "layouts", "synthetic", "corruptions", "images", "augment"},
    {"reference", "features", "anchors", "embeddings", "affine", "templates", "detectors", "normalise", "combine", "thresholds"}
    | {"diagnosis", "selection", "agreement", "metrics", "intervals", "null", "shots", "onset", "scoring", "judging", "results"}
    | {"learned", "expectation", "calibration", "click_metrics", "click_features", "curves", "leaderboard", "loop", "hot_cells"}
    | {"below_bulk", "nt_xent", "strangers", "across", "audit", "representations", "contenders"},
    {"training"},
    {"cascade", "reading", "child", "parallel", "ray_engine", "finishing", "look", "cascade_run"},
    {"worker", "map_worker", "latent_worker", "audit_worker", "selection_worker"},
    {"schema", "store", "queries", "triage", "labels", "claims", "versions", "access", "sign_in", "hosts", "sign_outs"}
    | {"clock", "putting_back", "backup", "store_url", "gates", "engines", "recall", "lake", "copying", "retention", "probe"}
    | {"days", "undo"},
    {
        "run",
        "job",
        "intake",
        "embed",
        "train",
        "evaluate",
        "export",
        "ingest",
        "ingest_results",
        "ingest_verbs",
        "known_files",
        "uploads",
        "preview",
        "console",
        "demo",
        "info",
        "verbs",
        "__main__",
    }
    | {"label_rows", "label_files", "label_verbs", "calibrate", "calibrate_verbs", "verdicts", "newly_flagged", "gauges"}
    | {"train_job", "train_worker", "latent", "handle", "audit_job", "model_selection", "audit_verbs", "selection_verbs", "store_verbs"}
    | {"reject_causes", "place_causes", "time_causes", "verbs", "__main__"},
    {"ui"},
]
