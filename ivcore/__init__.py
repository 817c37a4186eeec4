"""The InternVideo workbook's library (arXiv 2212.03191): import what you need, `import ivcore` alone loads nothing heavy."""

from ivcore import torchvision_shim

__version__ = "0.1.0"

torchvision_shim.install()
