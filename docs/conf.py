"""How Sphinx makes the site: ``python -m sphinx -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

import chainrule

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "chainrule"
copyright = "The chainrule developers, BSD-3-Clause"
version = release = chainrule.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "public_names",
    "repository_links",
    "small_page",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "extensions", "gallery/**/*.ipynb", "gallery/**/*.py"]
default_role = None

# Each name in code leads somewhere, or the build fails; and links inside are checked, as are the
# headings that they name. Nothing is fetched: inventories of other projects would need a network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"fnmatch|(sklearn|torch)\..*")]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# Types stand in the docstrings, in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# The form of sections, and parameters that do not exist. Not: a section for each thing (what needs
# no words gets none), and the order of parameters, since related ones share a line.
numpydoc_validation_checks = {"GL05", "GL06", "GL07", "GL10", "PR02", "PR10", "SS01", "SS04"}
numpydoc_validation_exclude = {r"\.Residual$"}  # its *layers, with their star

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(
        [
            "from_numpy.py",
            "scipy_fit.py",
            "mixed_table.py",
            "images.py",
            "signals.py",
            "heat_equation.py",
            "policy_gradient.py",
            "*",
        ]
    ),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
}

# What the button copies: code, without prompts and output.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/logo.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "image_light": "static/logo.svg",
        "image_dark": "static/logo.svg",
        "text": "chainrule",
    },
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "show_prev_next": True,
}
html_context = {"default_mode": "auto"}
