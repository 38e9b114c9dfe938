"""q2-aam: predictions from whole microbial communities, inside QIIME 2."""

__version__ = "0.1.0"
