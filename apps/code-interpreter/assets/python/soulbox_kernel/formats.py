"""Result formats beyond IPython's: data frames as data, figures as charts, lists and dicts as JSON. Saved images are shown."""

import json
import os

from IPython.core.formatters import BaseFormatter
from traitlets import ObjectName, Unicode

from soulbox_kernel.data import data_of_frame

# From Debian's package fonts-noto-cjk.
CJK_FONTS = "/usr/share/fonts/opentype/noto"


class DataFormatter(BaseFormatter):
    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = dict


class ChartFormatter(BaseFormatter):
    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = dict


def install(shell):
    formatters = shell.display_formatter.formatters
    data = DataFormatter(parent=shell.display_formatter)
    data.for_type_by_name("pandas", "DataFrame", data_of_frame)
    data.for_type_by_name("pandas.core.frame", "DataFrame", data_of_frame)
    chart = ChartFormatter(parent=shell.display_formatter)
    formatters[data.format_type] = data
    formatters[chart.format_type] = chart
    for kind in (dict, list):
        formatters["application/json"].for_type(kind, json_of)
    show_saved_images(shell)
    use_inline_figures(shell)


def json_of(value):
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return value


def show_saved_images(shell):
    try:
        from PIL import Image
    except ImportError:
        return
    save = Image.Image.save

    def save_and_show(self, fp, *args, **options):
        result = save(self, fp, *args, **options)
        if isinstance(fp, (str, bytes)) or hasattr(fp, "__fspath__"):
            from IPython.display import display

            display(self)
        return result

    save_and_show.__doc__ = save.__doc__
    Image.Image.save = save_and_show


def use_inline_figures(shell):
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
        from matplotlib_inline.backend_inline import configure_inline_support

        from soulbox_kernel.charts import recordings
        from soulbox_kernel.charts.figure import chart_of_figure
    except ImportError:
        return
    recordings.install()
    if os.path.isdir(CJK_FONTS):
        # matplotlib uses the next family for characters that a family has no glyph for.
        rcParams["font.family"] = ["sans-serif", "Noto Sans CJK JP"]
    # A method instead of a printer: the inline backend removes all printers of figures whenever it is configured.
    Figure._repr_e2b_chart_ = chart_of_figure
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
