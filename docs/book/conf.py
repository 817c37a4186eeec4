"""Sphinx's settings for the book: pages load nothing from the network, equations are MathML, and notebooks are not run
again.
"""

from latex2mathml.converter import convert

project = "InternVideo workbook"
html_title = project
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_space = False
myst_dmath_allow_digits = False
myst_heading_anchors = 4
html_theme = "furo"
html_css_files = ["book.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_show_search_summary = False  # it would be fetched, which browsers refuse for local files
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))


def _inline(writer, node):
    _mathml(writer, node, "inline")


def _block(writer, node):
    _mathml(writer, node, "block")


def _mathml(writer, node, display: str):
    from docutils.nodes import SkipNode

    formula = convert(node.astext(), display=display)
    writer.body.append(f'<div class="equation">{formula}</div>' if display == "block" else formula)
    raise SkipNode
