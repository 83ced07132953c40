"""What pages and verbs ask of the store, by name, one file a subject: plain SQL on store cursors, no Streamlit, nothing written.

What belongs to one package alone stands there: the labelling queue in `review`, audits and latent spaces in `models`.
"""
