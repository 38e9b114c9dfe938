"""Sizes of the network."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Architecture:
    """Sizes of the two encoders. Stored in ``model.json``, so that a model is rebuilt without its training script."""

    dim: int = 128
    """Width of nucleotide, ASV and sample representations."""

    heads: int = 4
    """Attention heads, in both transformers; must divide ``dim``."""

    nucleotides_per_token: int = 5
    """Nucleotides that one token spans; 1 is a token a nucleotide, several shorten the sequence by that factor."""

    nucleotide_layers: int = 1
    """Transformer blocks over the tokens of an ASV."""

    sample_layers: int = 1
    """Transformer blocks over the ASVs of a sample."""

    anchors: int = 64
    """ASVs of the first training batches whose mean embedding is subtracted from every ASV's."""

    lineages: int = 256
    """Learnt branches on which UniFrac's own formula is evaluated."""

    feed_forward: int = 2
    """Width of a block's hidden layer, in multiples of ``dim``."""

    dropout: float = 0.0
    """Dropout inside the sample encoder's blocks, on the path to the target only."""

    max_length: int = 512
    """Longest sequence read, in nucleotides; longer ones are cut. `pretrain` reads longer ones by itself."""

    def __post_init__(self):
        for entry in fields(self):
            value = getattr(self, entry.name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if entry.type is int and not whole or not isinstance(value, int | float):
                kind = "a whole number" if entry.type is int else "a number"
                raise ValueError(f"{entry.name} must be {kind}, but is {value!r}.")
            if entry.name == "dropout":
                if not 0 <= value < 1:
                    raise ValueError(f"dropout must be at least 0 and below 1, but is {value}.")
            elif value < 1:
                raise ValueError(f"{entry.name} must be at least 1, but is {value}.")
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of heads ({self.heads}).")

    @property
    def max_tokens(self) -> int:
        """Positions that the longest sequence takes: START and one a span of nucleotides."""
        return 1 + -(-self.max_length // self.nucleotides_per_token)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: dict) -> "Architecture":
        """Rebuild from ``model.json``; an unknown or missing key is refused: it would change the network silently."""
        known = {entry.name for entry in fields(cls)}
        missing = known - set(settings)
        if missing:
            raise ValueError(
                f"The model's description lacks these settings: {', '.join(sorted(missing))}. It was made by another "
                "q2-aam: use that one, or train the model again."
            )
        unknown = set(settings) - known
        if unknown:
            raise ValueError(
                f"The model was made with unknown settings: {', '.join(sorted(unknown))}. Update q2-aam and try again."
            )
        return cls(**settings)


# The longest sequences, in nucleotides, that are read whole unless a number is given.
LONGEST = 5000


@dataclass(frozen=True)
class ReadLength:
    """How much of each sequence an encoder is made to read."""

    max_length: int | str = "auto"
    """Nucleotides, or 'auto' for as many multiples of 512 as the longest sequence asks for."""
