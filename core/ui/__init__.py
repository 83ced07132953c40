"""The only Streamlit code in core.

text        numbers, times and hostile strings as a reader should see them
palette     the colours, once
maps        counts to arrays to draw: smoothed, expected, signed difference
charts      Plotly figures
svg tables  small pictures and HTML tables, for pages and for the report
thumbnails  PNG data URLs
gallery     thumbnails side by side, to pick from
scatter cosine_charts  maps of banners and cosine similarities as figures
embedding picked selection mapping  the map, what is selected on it, and how one is made
pairwise    two cosine similarities against each other
desk labelling pictures label_reads  one banner at a time to be labelled, beside what is expected of it
disputes team  what reviewers differ on, and how steady each of them is
detector_*  detectors beside labels and beside each other, one of them closer, and training networks
calibration_*  what a cut would change: controls, figures, tables, banners that flip, 0-shot against 1-shot
versions_*  threshold versions in words, their history, two of them compared, and the way back
neighbours  what the Banner page shows of maps and cosines
state       the open store, the run shown, actions
identity    who you are, by sign-in or as the one local user
remembered  the local user's name, kept by the browser
asking      the question before another person's decision is replaced
writes      everything that a page may change, each after a check of who asks
reads       cached reads
components  sentences, empty states, the table one can pick from
report      CSV and HTML files
jobs        ingests and runs in the background
"""
