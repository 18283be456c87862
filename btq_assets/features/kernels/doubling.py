"""Sums of differences from each window's last value: of few values, of one more, of twice as many.

Belongs here: the loops over rows that `moments` and `pairs` take on their way to a window. Does not
belong here: which steps lead there (`tiles`), what is made of the sums.

Every function writes the rows ``low`` to ``size - 1``. Each loop writes to one or two arrays and
reads few: beyond eight comparisons of where arrays lie, the compiler leaves a loop as it is, one
row at a time. `few` takes the first steps at once, in the same order and so with the same bits.

numba does not notice a change here when it looks for compiled callers: remove ``__pycache__``
after one.
"""

from __future__ import annotations

from numba import njit

from btq_assets.features.kernels.tiles import doubles


@njit(cache=True, nogil=True, error_model="numpy")
def _wanted(windows, p):
    """Whether one of the windows is of `p` values."""
    found = False
    for window in windows:
        found = found or window == p
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def first_step(n, windows):
    """Values that `few` begins with on the way to `n`: 4 to 7, or 1 where fewer are wanted."""
    p = n
    while p > 7:
        p >>= 1
    p = p - p % 2 if _wanted(windows, p - p % 2) else p
    fewer = _wanted(windows, 1) or _wanted(windows, 2) or (p > 5 and _wanted(windows, 3))
    return 1 if n < 4 or fewer else p


@njit(cache=True, nogil=True, error_model="numpy")
def and_one(n, p, windows):
    """1 where the way to `n` values adds an older one after `p` are doubled to what none wants."""
    return 1 if 2 * p < n and not doubles(n, 2 * p) and not _wanted(windows, 2 * p) else 0


@njit(cache=True, nogil=True, error_model="numpy")
def one(x, sums, squares, low, size):
    """Sums of one value: zero, or missing."""
    values, s, q = x[low:size], sums[low:size], squares[low:size]
    for j in range(s.size):
        s[j] = values[j] - values[j]
    for j in range(q.size):
        q[j] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def zero(sums, low, size):
    """Of one value, what no missing one changes."""
    s = sums[low:size]
    for j in range(s.size):
        s[j] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _two(a, b):
    g = b - a
    return (a - a) + g, g * g


@njit(cache=True, nogil=True, error_model="numpy")
def _three(a, b, c):
    g, h = b - a, c - a
    return (a - a) + g + h, g * g + h * h


@njit(cache=True, nogil=True, error_model="numpy")
def _after(s0, q0, s1, q1, count, g):
    """Sums and squares with those of `count` older values, whose last one lies `g` away."""
    moved = s1 + count * g
    return s0 + moved, q0 + (q1 + g * (s1 + moved))


@njit(cache=True, nogil=True, error_model="numpy")
def few(x, sums, squares, p, low, size):
    """Sums and squares of 4 to 7 values."""
    v, s, q = x[low - p + 1 : size], sums[low:size], squares[low:size]
    if p == 4:
        for j in range(s.size):
            s0, q0 = _two(v[j + 3], v[j + 2])
            s1, q1 = _two(v[j + 1], v[j])
            s[j], q[j] = _after(s0, q0, s1, q1, 2.0, v[j + 1] - v[j + 3])
    elif p == 5:
        for j in range(s.size):
            s0, q0 = _two(v[j + 4], v[j + 3])
            s1, q1 = _two(v[j + 2], v[j + 1])
            s2, q2 = _after(s0, q0, s1, q1, 2.0, v[j + 2] - v[j + 4])
            h = v[j] - v[j + 4]
            s[j], q[j] = s2 + h, q2 + h * h
    elif p == 6:
        for j in range(s.size):
            s0, q0 = _three(v[j + 5], v[j + 4], v[j + 3])
            s1, q1 = _three(v[j + 2], v[j + 1], v[j])
            s[j], q[j] = _after(s0, q0, s1, q1, 3.0, v[j + 2] - v[j + 5])
    else:
        for j in range(s.size):
            s0, q0 = _three(v[j + 6], v[j + 5], v[j + 4])
            s1, q1 = _three(v[j + 3], v[j + 2], v[j + 1])
            s2, q2 = _after(s0, q0, s1, q1, 3.0, v[j + 3] - v[j + 6])
            h = v[j] - v[j + 6]
            s[j], q[j] = s2 + h, q2 + h * h


@njit(cache=True, nogil=True, error_model="numpy")
def older(x, sums, squares, p, low, size, squared):
    """Add to the last `p` values the one before them."""
    x0, x1 = x[low:size], x[low - p : size - p]
    s, q = sums[low:size], squares[low:size]
    if squared:
        for j in range(s.size):
            g = x1[j] - x0[j]
            s[j] += g
            q[j] += g * g
    else:
        for j in range(s.size):
            s[j] += x1[j] - x0[j]


@njit(cache=True, nogil=True, error_model="numpy")
def double(x, sums, squares, to_sums, to_squares, p, odd, low, size, squared):
    """Add to the last `p` values the `p` before them, and the one before those if `odd` is 1.

    What is known of those is of differences from their own last value, which differs by g from
    the window's: ``sum (d + g) = sum d + p g``, and so on.
    """
    x0, x1 = x[low:size], x[low - p : size - p]
    s0, s1, s = sums[low:size], sums[low - p : size - p], to_sums[low:size]
    q0, q1, q = squares[low:size], squares[low - p : size - p], to_squares[low:size]
    count = 1.0 * p
    if not squared:
        for j in range(s.size):
            s[j] = s0[j] + (s1[j] + count * (x1[j] - x0[j]))
    else:
        for j in range(s.size):
            g = x1[j] - x0[j]
            s[j], q[j] = _after(s0[j], q0[j], s1[j], q1[j], count, g)
    if odd == 1:
        older(x, to_sums, to_squares, 2 * p, low, size, squared)


@njit(cache=True, nogil=True, error_model="numpy")
def few_aged(x, aged, p, low, size):
    """Sums of products with age, of 4 to 7 values."""
    v, u = x[low - p + 1 : size], aged[low:size]
    if p < 6:
        k = p - 4
        w = v[k:]
        for j in range(u.size):
            s1, _ = _two(w[j + 1], w[j])
            u0, u1 = 0.0 + (w[j + 2] - w[j + 3]), 0.0 + (w[j] - w[j + 1])
            u[j] = u0 + (u1 + 2.0 * s1 + 5.0 * (w[j + 1] - w[j + 3]))
        if k == 1:
            for j in range(u.size):
                u[j] += 4.0 * (v[j] - v[j + 4])
        return
    k = p - 6
    w = v[k:]
    for j in range(u.size):
        s1, _ = _three(w[j + 2], w[j + 1], w[j])
        u0 = 0.0 + (w[j + 4] - w[j + 5]) + 2.0 * (w[j + 3] - w[j + 5])
        u1 = 0.0 + (w[j + 1] - w[j + 2]) + 2.0 * (w[j] - w[j + 2])
        u[j] = u0 + (u1 + 3.0 * s1 + 12.0 * (w[j + 2] - w[j + 5]))
    if k == 1:
        for j in range(u.size):
            u[j] += 6.0 * (v[j] - v[j + 6])


@njit(cache=True, nogil=True, error_model="numpy")
def older_aged(x, aged, p, low, size):
    """Add to the last `p` values the one before them, `p` rows older than the last."""
    x0, x1, u = x[low:size], x[low - p : size - p], aged[low:size]
    age = 1.0 * p
    for j in range(u.size):
        u[j] += age * (x1[j] - x0[j])


@njit(cache=True, nogil=True, error_model="numpy")
def double_aged(x, sums, aged, to, p, odd, low, size):
    """Add to the last `p` values the `p` before them, and the one before those if `odd` is 1."""
    x0, x1, s1 = x[low:size], x[low - p : size - p], sums[low - p : size - p]
    u0, u1, u = aged[low:size], aged[low - p : size - p], to[low:size]
    count, ages = 1.0 * p, p * (3 * p - 1) / 2.0
    for j in range(u.size):
        u[j] = u0[j] + (u1[j] + count * s1[j] + ages * (x1[j] - x0[j]))
    if odd == 1:
        older_aged(x, to, 2 * p, low, size)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_four(a, b, c, d, p, q, r, s):
    """Sum of the products of the pairs (a, p) to (d, s), the last pair first."""
    g, h = c - a, r - p
    sums, _ = _two(c, d)
    others, _ = _two(r, s)
    older = 0.0 + (d - c) * (s - r)
    return 0.0 + (b - a) * (q - p) + (older + g * others + h * (sums + 2.0 * g))


@njit(cache=True, nogil=True, error_model="numpy")
def _of_six(a, b, c, d, e, f, p, q, r, s, t, u):
    """Sum of the products of the pairs (a, p) to (f, u), the last pair first."""
    g, h = d - a, s - p
    sums, _ = _three(d, e, f)
    others, _ = _three(s, t, u)
    older = 0.0 + (e - d) * (t - s) + (f - d) * (u - s)
    newer = 0.0 + (b - a) * (q - p) + (c - a) * (r - p)
    return newer + (older + g * others + h * (sums + 3.0 * g))


@njit(cache=True, nogil=True, error_model="numpy")
def few_products(x, y, products, p, low, size):
    """Sums of the products of 4 to 7 pairs."""
    v, w, to = x[low - p + 1 : size], y[low - p + 1 : size], products[low:size]
    if p == 4:
        for j in range(to.size):
            to[j] = _of_four(
                v[j + 3], v[j + 2], v[j + 1], v[j], w[j + 3], w[j + 2], w[j + 1], w[j]
            )  # fmt: skip
    elif p == 5:
        for j in range(to.size):
            four = _of_four(
                v[j + 4], v[j + 3], v[j + 2], v[j + 1], w[j + 4], w[j + 3], w[j + 2], w[j + 1]
            )  # fmt: skip
            to[j] = four + (v[j] - v[j + 4]) * (w[j] - w[j + 4])
    elif p == 6:
        for j in range(to.size):
            to[j] = _of_six(
                v[j + 5], v[j + 4], v[j + 3], v[j + 2], v[j + 1], v[j],
                w[j + 5], w[j + 4], w[j + 3], w[j + 2], w[j + 1], w[j],
            )  # fmt: skip
    else:
        for j in range(to.size):
            six = _of_six(
                v[j + 6], v[j + 5], v[j + 4], v[j + 3], v[j + 2], v[j + 1],
                w[j + 6], w[j + 5], w[j + 4], w[j + 3], w[j + 2], w[j + 1],
            )  # fmt: skip
            to[j] = six + (v[j] - v[j + 6]) * (w[j] - w[j + 6])


@njit(cache=True, nogil=True, error_model="numpy")
def older_products(x, y, products, p, low, size):
    """Add to the last `p` pairs the one before them."""
    x0, x1 = x[low:size], x[low - p : size - p]
    y0, y1 = y[low:size], y[low - p : size - p]
    to = products[low:size]
    for j in range(to.size):
        to[j] += (x1[j] - x0[j]) * (y1[j] - y0[j])


@njit(cache=True, nogil=True, error_model="numpy")
def double_products(x, y, x_sums, y_sums, products, to_products, p, odd, low, size):
    """Add to the last `p` pairs the `p` before them, and the one before those if `odd` is 1."""
    x0, x1, sx = x[low:size], x[low - p : size - p], x_sums[low - p : size - p]
    y0, y1, sy = y[low:size], y[low - p : size - p], y_sums[low - p : size - p]
    s0, s1, to = products[low:size], products[low - p : size - p], to_products[low:size]
    count = 1.0 * p
    for j in range(to.size):
        g, h = x1[j] - x0[j], y1[j] - y0[j]
        to[j] = s0[j] + (s1[j] + g * sy[j] + h * (sx[j] + count * g))
    if odd == 1:
        older_products(x, y, to_products, 2 * p, low, size)
