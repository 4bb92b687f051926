"""Figures of metrics: each takes the frame of its metric and gives a plotly figure in the product's one look."""
