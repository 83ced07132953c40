"""The only Streamlit code in core.

render      values in, HTML or figures out; no Streamlit
session     what every page shares: the open store and run, identity, navigation, cached reads, and the one way to write
overview triage label banner embedding detectors calibrate data   one folder a page, each with `page.show`; none imports another
server      what is answered apart from pages: endpoints, metrics, readiness, memory
"""
