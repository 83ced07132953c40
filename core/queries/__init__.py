"""Everything that pages ask of the store, by name: plain SQL on store cursors, no Streamlit, nothing written.

runs      finished runs, run states, the newest decision
overview  rates per grid, day, product count and domain
queue     flagged banners, filtered, sorted and paged
heatmaps  dense counts of single banners
banner    everything about one banner
embeddings  maps of banners, and what lies near what
cosines   distances to anchors, and who is known to be in order
review    what a reviewer labels next, and why; pools and past are what it is found from
detectors detectors beside labels, and beside each other
reviewers how reviewers compare; drift: each one's speed and steadiness
health    ingests, rejects, detectors of a run
"""
