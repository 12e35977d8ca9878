"""The kernels of packed steps, in Triton, which comes with torch for CUDA.

Each kernel makes one pass over the hidden states where torch needs several: dropout, residual sum and norm; their
gradients and the sums for gamma, beta and bias. All arithmetic is in float32, and a result is rounded once, when it is
stored. ``loss_kernels.py`` does so for the loss.

Dropout draws Philox numbers from a seed on the device and the place of a value, so a backward kernel draws the numbers
of its forward kernel again, and nothing is stored. One draw has four numbers: a row is computed as four quarters.

A sum over all rows is made in two steps, always in the same order: every program sums its rows, and the caller sums
the programs. No kernel adds to memory that another program adds to, so a run can be repeated bit for bit. The
operations that they compute are those of ``reference.py``. Read ``loss_kernels.py`` next.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = [
    "add_norm_backward_kernel",
    "add_norm_kernel",
    "column_sums_kernel",
    "embed_backward_kernel",
    "embed_kernel",
]


@triton.jit
def _kept(values, number, rate):
    """Apply dropout: ``number`` is uniform in 32 bits."""
    return tl.where(tl.uint_to_uniform_float(number) >= rate, values / (1.0 - rate), 0.0)


@triton.jit
def _dropped(a, b, c, d, seeds, site, places, rate, DROPS: tl.constexpr):
    """Apply dropout to four quarters of rows; ``places`` are different for different values of a quarter."""
    if DROPS:
        one, two, three, four = tl.randint4x(tl.load(seeds + site), places)
        a, b, c, d = _kept(a, one, rate), _kept(b, two, rate), _kept(c, three, rate), _kept(d, four, rate)
    return a, b, c, d


@triton.jit
def _quarters(pointer, places, quarter, mask):
    """Load four quarters of rows in float32."""
    a = tl.load(pointer + places, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(pointer + places + quarter, mask=mask, other=0.0).to(tl.float32)
    c = tl.load(pointer + places + 2 * quarter, mask=mask, other=0.0).to(tl.float32)
    d = tl.load(pointer + places + 3 * quarter, mask=mask, other=0.0).to(tl.float32)
    return a, b, c, d


@triton.jit
def _store_quarters(pointer, places, quarter, mask, a, b, c, d):
    tl.store(pointer + places, a, mask=mask)
    tl.store(pointer + places + quarter, b, mask=mask)
    tl.store(pointer + places + 2 * quarter, c, mask=mask)
    tl.store(pointer + places + 3 * quarter, d, mask=mask)


@triton.jit
def _shifted(a, b, c, d, mean, mask):
    """Subtract from the values of rows and columns that exist; the others are 0."""
    a, b = tl.where(mask, a - mean, 0.0), tl.where(mask, b - mean, 0.0)
    return a, b, tl.where(mask, c - mean, 0.0), tl.where(mask, d - mean, 0.0)


@triton.jit
def _scaled(a, b, c, d, by_a, by_b, by_c, by_d):
    return a * by_a, b * by_b, c * by_c, d * by_d


@triton.jit
def _store_sums(pointer, column, quarter, a, b, c, d):
    """Store the sums over the rows of four quarters."""
    a, b, c, d = tl.sum(a, axis=0), tl.sum(b, axis=0), tl.sum(c, axis=0), tl.sum(d, axis=0)
    _store_quarters(pointer, column, quarter, column < quarter, a, b, c, d)


@triton.jit(do_not_specialize=["site"])
def add_norm_kernel(
    hidden,
    sublayer,
    gamma,
    beta,
    seeds,
    site,
    residual,
    normed,
    means,
    scales,
    rows,
    width,
    rate,
    epsilon,
    DROPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Residual = hidden + dropout(sublayer); normed = norm(residual); its means and inverse deviations."""
    quarter = width // 4
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    mask = (row < rows)[:, None] & (column < quarter)[None, :]
    places = row.to(tl.int64)[:, None] * width + column[None, :]
    a, b, c, d = _quarters(sublayer, places, quarter, mask)
    a, b, c, d = _dropped(a, b, c, d, seeds, site, row[:, None] * quarter + column[None, :], rate, DROPS)
    e, f, g, h = _quarters(hidden, places, quarter, mask)
    a += e
    b += f
    c += g
    d += h
    _store_quarters(residual, places, quarter, mask, a, b, c, d)
    mean = tl.sum(a + b + c + d, axis=1) / width
    a, b, c, d = _shifted(a, b, c, d, mean[:, None], mask)
    scale = 1.0 / tl.sqrt(tl.sum(a * a + b * b + c * c + d * d, axis=1) / width + epsilon)
    tl.store(means + row, mean, mask=row < rows)
    tl.store(scales + row, scale, mask=row < rows)
    e, f, g, h = _quarters(gamma, column, quarter, column < quarter)
    a = a * scale[:, None] * e[None, :]
    b = b * scale[:, None] * f[None, :]
    c = c * scale[:, None] * g[None, :]
    d = d * scale[:, None] * h[None, :]
    e, f, g, h = _quarters(beta, column, quarter, column < quarter)
    _store_quarters(
        normed, places, quarter, mask, a + e[None, :], b + f[None, :], c + g[None, :], d + h[None, :]
    )  # fmt: skip


@triton.jit(do_not_specialize=["site"])
def add_norm_backward_kernel(
    to_normed,
    residual,
    means,
    scales,
    gamma,
    seeds,
    site,
    to_hidden,
    to_sublayer,
    sums,
    rows,
    width,
    rate,
    DROPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """The gradients of ``add_norm_kernel``; ``sums`` [programs, 3, width] are those of gamma, beta and sublayer."""
    quarter = width // 4
    column = tl.arange(0, COLUMNS)
    is_column = column < quarter
    ga, gb, gc, gd = _quarters(gamma, column, quarter, is_column)
    zero = tl.zeros([ROWS, COLUMNS], tl.float32)
    gamma_a, gamma_b, gamma_c, gamma_d = zero, zero, zero, zero
    beta_a, beta_b, beta_c, beta_d = zero, zero, zero, zero
    bias_a, bias_b, bias_c, bias_d = zero, zero, zero, zero
    for start in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = start + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & is_column[None, :]
        places = row.to(tl.int64)[:, None] * width + column[None, :]
        mean = tl.load(means + row, mask=row < rows, other=0.0)[:, None]
        scale = tl.load(scales + row, mask=row < rows, other=0.0)[:, None]
        xa, xb, xc, xd = _quarters(residual, places, quarter, mask)
        xa, xb, xc, xd = _shifted(xa, xb, xc, xd, mean, mask)
        xa, xb, xc, xd = _scaled(xa, xb, xc, xd, scale, scale, scale, scale)
        a, b, c, d = _quarters(to_normed, places, quarter, mask)
        gamma_a, gamma_b, gamma_c, gamma_d = gamma_a + a * xa, gamma_b + b * xb, gamma_c + c * xc, gamma_d + d * xd
        beta_a, beta_b, beta_c, beta_d = beta_a + a, beta_b + b, beta_c + c, beta_d + d
        a, b, c, d = _scaled(a, b, c, d, ga[None, :], gb[None, :], gc[None, :], gd[None, :])
        along = tl.sum(a * xa + b * xb + c * xc + d * xd, axis=1)[:, None] / width
        even = tl.sum(a + b + c + d, axis=1)[:, None] / width
        a = scale * (a - even - xa * along)
        b = scale * (b - even - xb * along)
        c = scale * (c - even - xc * along)
        d = scale * (d - even - xd * along)
        _store_quarters(to_hidden, places, quarter, mask, a, b, c, d)
        a, b, c, d = _shifted(a, b, c, d, 0.0, mask)
        if DROPS:
            a, b, c, d = _dropped(a, b, c, d, seeds, site, row[:, None] * quarter + column[None, :], rate, DROPS)
            _store_quarters(to_sublayer, places, quarter, mask, a, b, c, d)
        bias_a, bias_b, bias_c, bias_d = bias_a + a, bias_b + b, bias_c + c, bias_d + d
    sums += tl.program_id(0) * 3 * width
    _store_sums(sums, column, quarter, gamma_a, gamma_b, gamma_c, gamma_d)
    _store_sums(sums + width, column, quarter, beta_a, beta_b, beta_c, beta_d)
    _store_sums(sums + 2 * width, column, quarter, bias_a, bias_b, bias_c, bias_d)


@triton.jit
def column_sums_kernel(
    gradient,
    activated,
    sums,
    rows,
    width,
    IS_RELU: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sum a gradient over its rows; with a ReLU, first set it to zero, in place, where the ReLU was."""
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = start + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & (column < width)[None, :]
        places = row.to(tl.int64)[:, None] * width + column[None, :]
        values = tl.load(gradient + places, mask=mask, other=0.0)
        if IS_RELU:
            values = tl.where(tl.load(activated + places, mask=mask, other=0.0) > 0, values, 0.0)
            tl.store(gradient + places, values, mask=mask)
        total += values.to(tl.float32)
    tl.store(sums + tl.program_id(0) * width + column, tl.sum(total, axis=0), mask=column < width)


@triton.jit(do_not_specialize=["site"])
def embed_kernel(
    ids,
    positions,
    table,
    angles,
    seeds,
    site,
    out,
    rows,
    width,
    factor,
    rate,
    DROPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Out = dropout(factor * table[ids] + angles[positions]); an id below 0 has the zero vector."""
    quarter = width // 4
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    is_row = row < rows
    mask = is_row[:, None] & (column < quarter)[None, :]
    ident = tl.load(ids + row, mask=is_row, other=0).to(tl.int64)
    position = tl.load(positions + row, mask=is_row, other=0).to(tl.int64)
    a, b, c, d = _quarters(
        table, ident[:, None] * width + column[None, :], quarter, mask & (ident >= 0)[:, None]
    )  # fmt: skip
    e, f, g, h = _quarters(angles, position[:, None] * width + column[None, :], quarter, mask)
    a, b, c, d = _dropped(
        a * factor + e,
        b * factor + f,
        c * factor + g,
        d * factor + h,
        seeds,
        site,
        row[:, None] * quarter + column[None, :],
        rate,
        DROPS,
    )
    _store_quarters(out, row.to(tl.int64)[:, None] * width + column[None, :], quarter, mask, a, b, c, d)


@triton.jit(do_not_specialize=["site"])
def embed_backward_kernel(
    to_out,
    seeds,
    site,
    to_rows,
    rows,
    width,
    factor,
    rate,
    DROPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """The gradient of ``embed_kernel`` for the rows of the table that were read."""
    quarter = width // 4
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    mask = (row < rows)[:, None] & (column < quarter)[None, :]
    places = row.to(tl.int64)[:, None] * width + column[None, :]
    a, b, c, d = _quarters(to_out, places, quarter, mask)
    a, b, c, d = _dropped(a, b, c, d, seeds, site, row[:, None] * quarter + column[None, :], rate, DROPS)
    _store_quarters(to_rows, places, quarter, mask, a * factor, b * factor, c * factor, d * factor)
