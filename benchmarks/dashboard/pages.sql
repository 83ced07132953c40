-- some banners of some days each, one finished run with twelve detectors; run by pages.py
CREATE TEMP TABLE fact AS SELECT printf('bn-%08d', i) AS banner_id, 300000 + (hash(i) % 50)::BIGINT AS grid_id,
  (1 + hash(i, 1) % 6)::SMALLINT AS n_products, printf('site%03d.example', (hash(i, 2) % 400)::INT) AS domain,
  (20 + hash(i, 3) % 500)::BIGINT AS n_clicks, hash(i, 4) % 1000 < 60 AS flagged, (hash(i, 5) % 1000000) / 1e6 AS u
  FROM range($n) t(i);
CREATE TEMP TABLE pool AS SELECT k, list_sort(list_distinct([(hash(k, j) % 1600)::USMALLINT FOR j IN range(4)])) AS bins FROM range(4096) t(k);
INSERT INTO ingest VALUES ('00000000-0000-7000-8000-000000000002', 'clicks.parquet', 'x', 1, $n * $days * 4, $n * $days * 4, 0, $n, '2026-11-01', DATE '2026-11-01' + ($days - 1)::INT, '{}',
  '2026-11-14 01:00:00', '2026-11-14 02:00:00');
INSERT INTO banner SELECT banner_id, grid_id, n_products, domain, '00000000-0000-7000-8000-000000000002' FROM fact ORDER BY banner_id;
INSERT INTO heatmap_day SELECT '00000000-0000-7000-8000-000000000002', banner_id, DATE '2026-11-01' + d::INT, len(bins), bins, [1::UINTEGER FOR b IN bins]
  FROM (SELECT i, d, printf('bn-%08d', i) AS banner_id FROM range($n) t(i), range($days) s(d) ORDER BY i, d) JOIN pool ON k = hash(i, d) % 4096
  ORDER BY banner_id, d;
INSERT INTO run_event VALUES ('00000000-0000-7000-8000-000000000001', '2026-11-14 03:00:00', 'started', NULL), ('00000000-0000-7000-8000-000000000001', '2026-11-14 03:10:00', 'finished', NULL);
INSERT INTO reference SELECT '00000000-0000-7000-8000-000000000001', g::INT, 300000 + g, NULL, NULL, $n // 50, $n, [(1 / 1600)::FLOAT FOR b IN range(1600)] FROM range(50) t(g);
INSERT INTO result (run_id, banner_id, grid_id, n_products, domain, n_clicks, reference_id, combined, p_value, p_broken, flagged, position, n_agree,
  n_detectors, fault, fault_size, fault_detail, log_odds, runner_up, margin, sentence, since) SELECT '00000000-0000-7000-8000-000000000001', banner_id, grid_id, n_products, domain, n_clicks, (grid_id - 300000)::INT, -ln(u + 1e-9),
  CASE WHEN flagged THEN u / 100 ELSE u END, CASE WHEN flagged THEN 0.7 + 0.3 * u ELSE 0.3 * u END, flagged,
  row_number() OVER (ORDER BY flagged DESC, u), 9, 12, CASE WHEN flagged THEN CASE WHEN u < 0.5 THEN 'shifted' ELSE 'uniform' END END,
  0.2, CASE WHEN flagged THEN '{"dx": 0.2, "dy": 0.1, "share": 0.4}' END, 6.0, 'scaled', 2.0, CASE WHEN flagged THEN 'Its clicks fall anywhere (next best: a shift).' END,
  CASE WHEN flagged THEN DATE '2026-11-01' + (u * ($days - 1))::INT END FROM fact ORDER BY flagged DESC, u;
INSERT INTO heatmap SELECT r.run_id, r.banner_id, r.position, list(bin ORDER BY bin), list(n ORDER BY bin) FROM result r
  JOIN (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM (SELECT banner_id, unnest(h.bins) AS bin, unnest(h.counts) AS n FROM heatmap_day h
  JOIN fact USING (banner_id) WHERE flagged) GROUP BY ALL) USING (banner_id) GROUP BY ALL ORDER BY r.position;
INSERT INTO run_detector SELECT '00000000-0000-7000-8000-000000000001', printf('detector_%02d', d), printf('family %d', d // 3), 'heatmaps', 1, 1, $n, NULL FROM range(12) t(d);
INSERT INTO score SELECT '00000000-0000-7000-8000-000000000001', banner_id, printf('detector_%02d', d), u, -ln(u + 1e-9), u FROM fact, range(12) s(d) ORDER BY banner_id, d;
INSERT INTO evidence SELECT '00000000-0000-7000-8000-000000000001', banner_id, DATE '2026-11-01' + d::INT, 4, u FROM fact, range($days) s(d) WHERE flagged ORDER BY banner_id, d;
INSERT INTO run_day SELECT '00000000-0000-7000-8000-000000000001', g, DATE '2026-11-01' + d::INT, n, (k * (d + 1)) // $days, k // $days
  FROM (SELECT grid_id AS g, count(*) AS n, count(*) FILTER (flagged) AS k FROM fact GROUP BY 1), range($days) s(d);
INSERT INTO run_info SELECT '00000000-0000-7000-8000-000000000001', '2026-11-14 03:00:00', '2026-11-14 03:10:00', '2026-11-01', DATE '2026-11-01' + ($days - 1)::INT, NULL, $n, sum(n_clicks),
  count(*) FILTER (flagged), 0.15 * count(*) FILTER (flagged), 0.1, 600, '{}' FROM fact;
INSERT INTO run_detector SELECT '00000000-0000-7000-8000-000000000001', name, 'features', 'features', 1, 1, 20000, NULL FROM (VALUES ('cosine_a'), ('cosine_b')) t(name);
INSERT INTO score SELECT '00000000-0000-7000-8000-000000000001', banner_id, name, CASE WHEN flagged THEN 0.2 + 0.3 * u ELSE 0.2 * u END, 0, u
  FROM (SELECT f.*, row_number() OVER (PARTITION BY flagged ORDER BY u) AS k FROM fact f), (VALUES ('cosine_a'), ('cosine_b')) t(name) WHERE k <= 10000 ORDER BY banner_id, name;
INSERT INTO embedding_point SELECT '00000000-0000-7000-8000-000000000003', (position - 1)::INT, banner_id, sin(position), cos(position * 1.7), sin(position),
  cos(position * 1.7), sin(position * 0.3), (position % 9 - 1)::SMALLINT, [sin(position * j) / 8 FOR j IN range(1, 33)]::FLOAT[32] FROM result WHERE position <= 10000 ORDER BY position;
INSERT INTO embedding_anchor SELECT '00000000-0000-7000-8000-000000000003', 300000 + g, 1, 0.1, 0.1, 0.1, 0.1, 0.1 FROM range(50) t(g);
INSERT INTO embedding SELECT '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001', 'heatmap', 'pca', NULL, least($n, 10000), $n, least($n, 10000), 8,
  [0.5, 0.3, 0.1], 0.9, NULL, NULL, 5, NULL, '2026-11-14 03:20:00';
INSERT INTO label_event (event_id, happened_at, batch_id, banner_id, op, label, reviewer, blind, seconds, run_id, source)
  SELECT uuidv7(), '2026-11-14 04:00:00', uuidv7(), banner_id, 'label', CASE WHEN flagged THEN 'broken' ELSE 'ok' END, 'ana', true, 5.0,
  '00000000-0000-7000-8000-000000000001', 'page' FROM result WHERE position % 1000 = 0 AND position <= 200000;
