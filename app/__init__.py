"""The lab: Streamlit views over traces and a running engine. Never imports torch."""
