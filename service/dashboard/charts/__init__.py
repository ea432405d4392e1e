"""Charts as geometry: plain data goes in, places and paths come out, templates draw them as SVG."""
