"""The site that ``make docs`` builds from ``docs``: Sphinx's settings."""

import logging
from importlib.metadata import version as version_of

project = "batchbandit"
author = "The batchbandit developers"
release = version_of("batchbandit-server")
version = release
extensions = ["myst_parser", "sphinx_click", "docs.site.extension"]
root_doc = "index"
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4  # the anchors that code hosts make too, so that a link works there and here
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"batchbandit {release}"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
nitpicky = True

logging.getLogger("alembic").setLevel(logging.WARNING)  # which tells what it loads
