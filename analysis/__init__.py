"""From traces to tables, layouts and figures. Never imports torch."""
