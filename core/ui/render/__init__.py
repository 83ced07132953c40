"""Values in, HTML or figures out; no Streamlit."""
