"""Figures of metrics. Each function takes the frame of its metric and returns a plotly figure in the common style."""
