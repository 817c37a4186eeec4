"""ActionFormer (arXiv 2202.07925): finds actions in untrimmed videos from clip features, every moment of several time scales at once."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.heads.actionformer.decoding import Decoding, decode
from ivcore.heads.actionformer.model import ActionFormer, Moments
