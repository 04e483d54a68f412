"""The ways in which images and labels lie in a folder: a small module each.

To add one, write a module with ``LAYOUT`` and name it here.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.errors import suggestion
from benchmark.layouts import aircraft, cars, csv_file, cub, image_folder
from benchmark.layouts.listing import Layout, Listing, Places
from benchmark.registry import Registry

__all__ = ["LAYOUTS", "Layout", "Listing", "Places", "check_options"]

LAYOUTS: Registry[Layout] = Registry("layout", "See docs/add-a-data-set.md for all of them.")
for _module in (aircraft, cars, csv_file, cub, image_folder):
    LAYOUTS.add(_module.LAYOUT.name, _module.LAYOUT, _module.__file__)


def check_options(layout: str, options: Mapping[str, str]) -> None:
    """Refuse options that a layout does not have.

    Raises:
        ValueError: an unknown option, or a value that it does not take.
    """
    known = LAYOUTS.get(layout).options
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"the layout '{layout}' has no option '{name}'.{suggestion(name, known)}"
            )
        if len(known[name]) > 1 and value not in known[name]:
            raise ValueError(
                f"the option {name} of the layout '{layout}' is one of "
                f"{', '.join(known[name])}, not '{value}'."
            )
