"""A smooth curve through the values of controls, and how far they spread about it.

Controls are learnt from and left out as whole parts, each of one subject or, of many, of some: samples of a subject are
alike, and how smooth a curve should be is told by subjects that it has not seen.
"""

import numpy as np

KNOTS = 11
# Subjects are in at most so many parts.
MOST_PARTS = 20
# Smoothness to choose from, a penalty for each sample learnt from. The last but one makes a curve a straight line, and
# a spread that of all ages alike.
PENALTIES = np.array([*np.logspace(-4, 3, 15), 1e7])
ROUNDS = 50


class Basis:
    """Cubic B-splines on evenly spaced knots.

    Parameters
    ----------
    low, high : float
        First and last knot. Values beyond are taken as these.
    """

    def __init__(self, low: float, high: float):
        from sklearn.preprocessing import SplineTransformer

        self.low, self.high = low, high
        self._splines = SplineTransformer(KNOTS).fit([[low], [high]])

    def __call__(self, values) -> np.ndarray:
        """Each spline at each value, float64 ``[N, K]``."""
        values = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        return self._splines.transform(values[:, None])


def penalty(size: int, order: int) -> np.ndarray:
    """What roughness costs, float64 ``[K, K]``: squared differences, of an order, of coefficients side by side.

    References
    ----------
    Eilers PHC, Marx BD (1996). Flexible smoothing with B-splines and penalties. Statistical Science 11(2):89-121.
    """
    differences = np.diff(np.eye(size), order, axis=0)
    return differences.T @ differences


class Sums:
    """What least squares need of each part of the samples, so that parts are added and left out without their samples.

    Parameters
    ----------
    design : np.ndarray
        float64 ``[N, K]``.
    values : np.ndarray
        float64 ``[N]``.
    parts : np.ndarray
        int ``[N]``, part of each sample, from 0.
    """

    def __init__(self, design: np.ndarray, values: np.ndarray, parts: np.ndarray):
        members = [parts == part for part in range(parts.max() + 1)]
        self.samples = np.array([own.sum() for own in members])
        self.products = np.stack([design[own].T @ design[own] for own in members])
        self.targets = np.stack([design[own].T @ values[own] for own in members])
        self.squares = np.array([values[own] @ values[own] for own in members])
        self.ones = np.stack([design[own].sum(0) for own in members])
        self._penalty = penalty(design.shape[1], 2)

    def coefficients(self, weights: np.ndarray, smoothness: float) -> np.ndarray:
        """Of a curve, float64 ``[..., K]``.

        Parameters
        ----------
        weights : np.ndarray
            float64 ``[..., P]``: how often each part is learnt from.
        smoothness : float
            Penalty for each sample.
        """
        samples = weights @ self.samples
        products = np.tensordot(weights, self.products, 1)
        products += (samples * smoothness)[..., None, None] * self._penalty
        # Where no sample lies, nothing but smoothness says where the curve goes.
        products += 1e-9 * np.eye(products.shape[-1]) * samples[..., None, None]
        return np.linalg.solve(products, (weights @ self.targets)[..., None])[..., 0]

    def shares(self, smoothness: float) -> np.ndarray:
        """How much a curve through all follows each part, float64 ``[P, K]``.

        By the splines at a place: how far the curve is moved there when all values of the part are moved by one.
        """
        rough = smoothness * self._penalty + 1e-9 * np.eye(len(self._penalty))
        return np.linalg.solve(self.products.sum(0) + self.samples.sum() * rough, self.ones.T).T

    def smoothness(self, chosen: np.ndarray) -> float:
        """The penalty by which parts are best predicted from the others.

        Parameters
        ----------
        chosen : np.ndarray
            bool ``[P]``: the parts that may be looked at.
        """
        places = np.flatnonzero(chosen)
        if len(places) < 2:
            return PENALTIES[-1]
        weights = np.tile(chosen.astype(np.float64), (len(places), 1))
        weights[np.arange(len(places)), places] = 0
        errors = []
        for smoothness in PENALTIES:
            curves = self.coefficients(weights, smoothness)
            own = np.einsum("pk,pkl,pl->p", curves, self.products[places], curves)
            errors.append((self.squares[places] - 2 * (curves * self.targets[places]).sum(1) + own).sum())
        return PENALTIES[np.argmin(errors)]


def log_variance(design: np.ndarray, squares: np.ndarray, smoothness: float, start=None) -> np.ndarray:
    """Coefficients of the logarithm of a variance that changes smoothly, float64 ``[K]``.

    The likeliest under a normal distribution, less what roughness costs: a gamma regression of the squares with a
    logarithmic link, by Fisher scoring.

    Parameters
    ----------
    design : np.ndarray
        float64 ``[N, K]``.
    squares : np.ndarray
        float64 ``[N]``, squared residuals.
    smoothness : float
        Penalty for each sample.
    start : np.ndarray, optional
        float64 ``[K]``, coefficients near by; without them the variance of all.

    References
    ----------
    Smyth GK (1989). Generalized linear models with varying dispersion. Journal of the Royal Statistical Society B
    51(1):47-60.
    """
    count, size = design.shape
    rough = count * smoothness * penalty(size, 1)
    inverse = np.linalg.inv(design.T @ design + rough + 1e-9 * count * np.eye(size))

    def loss(coefficients):
        return log_loss(design @ coefficients, squares).sum() + coefficients @ rough @ coefficients / 2

    coefficients = np.full(size, np.log(squares.mean())) if start is None else start
    before = loss(coefficients)
    for _ in range(ROUNDS):
        ratio = squares * np.exp(-design @ coefficients)
        step = inverse @ (design.T @ (ratio - 1) - rough @ coefficients)
        # A few large squares would throw it far.
        while loss(coefficients + step) > before and np.abs(step).max() > 1e-8:
            step /= 2
        coefficients = coefficients + step
        before = loss(coefficients)
        if np.abs(step).max() < 1e-6:
            break
    return coefficients


def log_loss(log_variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """How unlikely squared residuals are of such variances, but for a constant and a factor of two, ``[N]``."""
    return log_variances + squares * np.exp(-log_variances)


def variance_smoothness(design: np.ndarray, squares: np.ndarray, parts: np.ndarray) -> float:
    """The penalty by which the spread in parts is best predicted from the others."""
    losses = np.zeros(len(PENALTIES))
    for part in np.unique(parts):
        own, found = parts == part, None
        # From the smoothest on, of which each is near the one before.
        for place in reversed(range(len(PENALTIES))):
            found = log_variance(design[~own], squares[~own], PENALTIES[place], found)
            losses[place] += log_loss(design[own] @ found, squares[own]).sum()
    return PENALTIES[np.argmin(losses)]
