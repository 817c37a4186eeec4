"""Style and saving of figures: readable at 150 dpi, in colours that colour-blind readers can distinguish."""

import base64
import html
import io
from pathlib import Path

DPI = 150
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_SIZES = ["font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"]


def apply() -> None:
    """Sets defaults for all later figures: 10-point text, the Okabe-Ito colours, few frame lines."""
    import matplotlib
    from matplotlib import cycler

    settings = {name: 10 for name in _SIZES}
    settings |= {"axes.prop_cycle": cycler(color=OKABE_ITO), "image.cmap": "viridis"}
    settings |= {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    settings |= {"figure.figsize": (7, 4), "figure.constrained_layout.use": True, "savefig.dpi": DPI}
    matplotlib.rcParams.update(settings)


def titled(figure, title: str | None):
    """The figure, with a title on the left if one is given."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def save(fig, path: Path) -> Path:
    """Writes the figure as PNG (150 dpi, cropped to its content) with its title in the file's metadata, and closes
    it.
    """
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    title = fig.get_suptitle() or next((axes.get_title() for axes in fig.axes if axes.get_title()), "")
    fig.savefig(path, dpi=DPI, bbox_inches="tight", metadata={"Title": " ".join(title.split())})
    plt.close(fig)
    return path


def png(figure) -> bytes:
    """The figure as PNG bytes, as `save` would write it; closed, so that the notebook does not show it a second
    time.
    """
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, bbox_inches="tight", format="png", pil_kwargs={"compress_level": 1})
    plt.close(figure)
    return file.getvalue()


def reading_width(data: bytes) -> int:
    """Width of a figure's PNG at its size on paper, in CSS pixels, read from the PNG's header."""
    return round(int.from_bytes(data[16:20], "big") * 96 / DPI)


def image(data: bytes, alt: str, width: int | None = None, shrinks: bool = False) -> str:
    """A PNG as HTML, by default at reading width. A narrow page scrolls it instead of shrinking it, so that text in it
    stays readable.

    shrinks: the picture has no text and may be made smaller.
    """
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    look = f'width="{width or reading_width(data)}" style="max-width:{"100%" if shrinks else "none"};height:auto"'
    return f'<div style="overflow-x:auto;max-width:100%"><img src="{source}" {look} alt="{html.escape(alt)}"></div>'


def show(path: Path, alt: str = "", live: bool = False) -> None:
    """Shows a saved figure in the notebook at its size on paper, in full resolution, with the alt text `alt`.

    live: as HTML, since JupyterLab drops the alt text of a PNG. Executed notebooks keep the PNG, which is shown without
    trust. Does nothing outside a notebook.
    """
    from IPython import get_ipython
    from IPython.display import HTML, Image, display

    if get_ipython() is None:
        return
    content = path.read_bytes()
    display(HTML(image(content, alt)) if live else Image(data=content, width=reading_width(content), alt=alt or None))
