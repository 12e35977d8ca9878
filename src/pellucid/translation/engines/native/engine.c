/* The encoder-decoder of "Attention Is All You Need" (Vaswani et al. 2017) and its beam search, on a processor.
 *
 * One file, read from top to bottom:
 *
 *   1  the machine        vectors of floats and integers; the only place with instructions of one processor
 *   2  the model          linear maps, norms and layers, as Python hands them over
 *   3  products           y = x W^T + b, in float32 or with int8 weights (section 3.1, 3.3)
 *   4  attention          softmax(q k^T / sqrt(d_k)) v (section 3.2, equation 1)
 *   5  the stacks         the encoder; one step of the decoder for many rows (section 3.1)
 *   6  candidates         the best next pieces of a row, straight from the product with the vocabulary
 *   7  search             beams of many sentences that share each step (Wu et al. 2016, section 7)
 *   8  the entry points   what Python calls
 *
 * A row is one position of one sentence: a source piece in the encoder, a live hypothesis in the decoder. Rows of
 * different sentences share products and nothing else. What a row becomes never depends on the rows beside it: int8
 * sums are integers, every row is rounded by itself, and floats are added in an order that only the model decides.
 * So a sentence has the same translation alone and in any company.
 *
 * Python checks all sizes first (memory.py). All memory belongs to a Worker, and each thread has its own.
 */

#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------- 1  the machine --- */

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512VNNI__)
enum { LANES = 16, ROWS_AT_ONCE = 6 }; /* 6 rows x 4 vectors = 24 sums, with 32 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#elif defined(__AVX2__)
enum { LANES = 8, ROWS_AT_ONCE = 2 }; /* 2 rows x 4 vectors = 8 sums, with 16 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2)
#else
enum { LANES = 4, ROWS_AT_ONCE = 2 };
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2)
#endif
enum { VECTORS = 4, COLUMNS = VECTORS * LANES };

typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int8_t Bytes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16") /* so that arrays of sums live in registers */
INLINE Floats all(float value) { return (Floats){0} + value; }

INLINE Floats larger(Floats a, Floats b)
{
#if defined(__AVX512VNNI__)
    return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    Integers is_larger = a > b;
    return (Floats)((is_larger & (Integers)a) | (~is_larger & (Integers)b));
#endif
}

/* The first `count` lanes, and another value in the others. */
INLINE Floats first_lanes(Floats values, int count, float other)
{
    Integers lanes;
    UNROLLED for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
    Integers is_first = lanes < count;
    return (Floats)((is_first & (Integers)values) | (~is_first & (Integers)all(other)));
}

/* A vector of the `count` floats that are left of a row; zeros fill it up. */
INLINE Floats load(const float *from, int count)
{
    Floats values = all(0);
    if (count >= LANES) return *(const Floats *)from;
    memcpy(&values, from, (size_t)count * sizeof(float));
    return values;
}

INLINE void store(Floats values, float *to, int count)
{
    if (count >= LANES) *(Floats *)to = values;
    else memcpy(to, &values, (size_t)count * sizeof(float));
}

/* The sum and the largest of the lanes, by halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1. */
INLINE float sum_of(Floats values)
{
#if defined(__AVX512VNNI__)
    return _mm512_reduce_add_ps((__m512)values);
#else
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++) values[lane] += values[lane + half];
    return values[0];
#endif
}

INLINE float largest_of(Floats values)
{
#if defined(__AVX512VNNI__)
    return _mm512_reduce_max_ps((__m512)values);
#else
    float largest = values[0];
    for (int lane = 1; lane < LANES; lane++) largest = values[lane] > largest ? values[lane] : largest;
    return largest;
#endif
}

INLINE int any_above(Floats values, float limit)
{
#if defined(__AVX512VNNI__)
    return _mm512_cmp_ps_mask((__m512)values, _mm512_set1_ps(limit), _CMP_GT_OQ) != 0;
#else
    return largest_of(values) > limit;
#endif
}

/* Add to each lane the products of four activations (value + 128, the same in every lane) and four weights. Where it
 * KEEPS_OFFSET, 128 times the weights is left to be taken away. */
INLINE Integers add_products(Integers sums, uint32_t activations, Bytes weights)
{
#if defined(__AVX512VNNI__)
#define KEEPS_OFFSET 1
    return (Integers)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32((int)activations), (__m512i)weights);
#elif defined(__AVXVNNI__) && defined(__AVX2__)
#define KEEPS_OFFSET 1
    return (Integers)_mm256_dpbusd_avx_epi32((__m256i)sums, _mm256_set1_epi32((int)activations), (__m256i)weights);
#elif defined(__AVX2__)
#define KEEPS_OFFSET 0
    __m256i a = _mm256_sub_epi8(_mm256_set1_epi32((int)activations), _mm256_set1_epi8((char)128));
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8((__m256i)weights, a));
    return sums + (Integers)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
#define KEEPS_OFFSET 0
    for (int lane = 0; lane < LANES; lane++)
        for (int k = 0; k < 4; k++)
            sums[lane] += ((int)(activations >> (8 * k) & 255) - 128) * weights[4 * lane + k];
    return sums;
#endif
}

/* e^x for x <= 0, within 2 units in the last place; 0 below -87. */
INLINE Floats exponential(Floats x)
{
    x = larger(x, all(-87.0f));
    Floats k = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* x / ln 2, rounded to an integer by its magnitude */
    Floats r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = (p * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = (p * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * (Floats)((__builtin_convertvector(k, Integers) + 127) << 23);
}

INLINE int whole_vectors(int count) { return (count + LANES - 1) / LANES * LANES; }

/* A cache of keys and values holds floats, or with int8 weights floats of 16 bits: half as much comes from memory. */
#if defined(__AVX512VNNI__)
enum { HAS_HALVES = 1 };
INLINE Floats from_halves(const void *halves) { return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256(halves)); }
INLINE void to_halves(Floats values, void *halves) { _mm256_storeu_si256(halves, _mm512_cvtps_ph((__m512)values, 0)); }
#elif defined(__AVX2__) && defined(__F16C__)
enum { HAS_HALVES = 1 };
INLINE Floats from_halves(const void *halves) { return (Floats)_mm256_cvtph_ps(_mm_loadu_si128(halves)); }
INLINE void to_halves(Floats values, void *halves) { _mm_storeu_si128(halves, _mm256_cvtps_ph((__m256)values, 0)); }
#else
enum { HAS_HALVES = 0 };
INLINE Floats from_halves(const void *halves) { return *(const Floats *)halves; } /* never called */
INLINE void to_halves(Floats values, void *halves) { *(Floats *)halves = values; }
#endif

INLINE Floats cached(const void *cache, size_t place, int is_half)
{
    return is_half ? from_halves((const uint16_t *)cache + place) : *(const Floats *)((const float *)cache + place);
}

/* Put parts of `size` floats into a cache, each padded with zeros to whole vectors. */
static void put(const float *from, int parts, int size, void *cache, int is_half)
{
    for (size_t part = 0, place = 0; part < (size_t)parts; part++)
        for (int k = 0; k < size; k += LANES, place += LANES) {
            Floats values = load(from + part * size + k, size - k);
            if (is_half) to_halves(values, (uint16_t *)cache + place);
            else *(Floats *)((float *)cache + place) = values;
        }
}

/* ------------------------------------------------------------------------------------------------ 2  the model --- */

typedef struct { /* y = x W^T + b. Outputs are padded to COLUMNS with zeros, inputs to 4 for int8. */
    const void *weight; /* int8 [outputs / COLUMNS][inputs / 4][COLUMNS][4], or float [outputs / COLUMNS][inputs][COLUMNS] */
    const float *scale; /* [outputs]: an int8 weight times this is the weight */
    const int32_t *offset; /* [outputs]: 128 times the sum of a column's weights */
    const float *bias; /* [outputs] */
    int32_t inputs, outputs; /* as they are padded */
} Linear;

typedef struct { const float *gain, *bias; } Norm; /* [d_model] each */

typedef struct {
    Linear queries_keys_values, output; /* self-attention; one product for the three maps */
    Norm norm;
    Linear cross_queries, cross_keys_values, cross_output; /* in a decoder layer */
    Norm cross_norm;
    Linear inner, outer; /* feed-forward */
    Norm feed_forward_norm;
} Layer;

enum { RELU, GELU, SWISH };
typedef struct {
    int32_t d_model, num_heads, d_feedforward, num_encoder_layers, num_decoder_layers, target_vocab_size;
    int32_t is_int8, is_pre_norm, activation, start_id; /* start_id is -1 for the zero vector */
    float layer_norm_epsilon, embedding_scale;
    const float *source_embedding, *target_embedding; /* [vocabulary, d_model] */
    const float *source_positions, *target_positions; /* [positions, d_model]; row 0 is the first token's */
    const Layer *encoder, *decoder;
    Norm encoder_norm, decoder_norm; /* pre-norm only */
    Linear projection;
} Model;

typedef struct { /* the memory that products and attention of one thread need */
    float *hidden, *normed, *wide, *mapped, *context; /* [rows, ..] */
    uint8_t *rounded; /* [rows, widest input]: value / scale + 128 */
    float *scale; /* [rows] */
    float *weights, *joined; /* [ROWS_AT_ONCE, longest], [ROWS_AT_ONCE, d_head], both in whole vectors: of one head */
    float *transposed; /* [d_model, longest in whole vectors]: the keys of one sentence */
    float *queries; /* [ROWS_AT_ONCE, heads, d_head in whole vectors] */
    const char **keys; /* [ROWS_AT_ONCE, longest + 4] */
} Work;

/* --------------------------------------------------------------------------------------------------- 3  products --- */

/* Round each row to 8 bits by its own largest magnitude. */
static void round_rows(Work *work, const float *input, int rows, int width, int padded)
{
    for (int row = 0; row < rows; row++) {
        const float *x = input + (size_t)row * width;
        uint8_t *out = work->rounded + (size_t)row * padded;
        Floats most = all(0);
        int k = 0;
        for (; k < width; k += LANES) most = larger(most, larger(load(x + k, width - k), -load(x + k, width - k)));
        float largest = largest_of(most), inverse = largest > 0 ? 127.0f / largest : 0;
        work->scale[row] = largest / 127.0f;
        for (k = 0; k < width; k++) out[k] = (uint8_t)((int)((x[k] * inverse + 12582912.0f) - 12582912.0f) + 128);
        for (; k < padded; k++) out[k] = 128;
    }
}

/* One block of COLUMNS outputs for R rows; R is a constant wherever this is inlined, so the sums live in registers. */
INLINE void block_int8(const Linear *map, int column, const uint8_t *input, const float *scale, int R, float *output,
                       int stride)
{
    const Bytes *weight = (const Bytes *)((const int8_t *)map->weight + (size_t)column * map->inputs);
    Integers sums[ROWS_AT_ONCE][VECTORS] = {{{0}}};
    for (int k = 0; k < map->inputs; k += 4, weight += VECTORS)
        UNROLLED for (int r = 0; r < R; r++) {
            uint32_t activations;
            memcpy(&activations, input + (size_t)r * map->inputs + k, 4);
            UNROLLED for (int v = 0; v < VECTORS; v++) sums[r][v] = add_products(sums[r][v], activations, weight[v]);
        }
    UNROLLED for (int v = 0; v < VECTORS; v++) {
        int place = column + v * LANES;
        Integers offset = KEEPS_OFFSET ? *(const Integers *)(map->offset + place) : (Integers){0};
        Floats column_scale = *(const Floats *)(map->scale + place), bias = *(const Floats *)(map->bias + place);
        UNROLLED for (int r = 0; r < R; r++) {
            Floats product = __builtin_convertvector(sums[r][v] - offset, Floats);
            *(Floats *)(output + (size_t)r * stride + v * LANES) = product * (column_scale * scale[r]) + bias;
        }
    }
}

INLINE void block_float(const Linear *map, int column, const float *input, int R, float *output, int stride)
{
    const Floats *weight = (const Floats *)((const float *)map->weight + (size_t)column * map->inputs);
    Floats sums[ROWS_AT_ONCE][VECTORS];
    UNROLLED for (int v = 0; v < VECTORS; v++)
        UNROLLED for (int r = 0; r < R; r++) sums[r][v] = *(const Floats *)(map->bias + column + v * LANES);
    for (int k = 0; k < map->inputs; k++, weight += VECTORS)
        UNROLLED for (int r = 0; r < R; r++) {
            Floats activation = all(input[(size_t)r * map->inputs + k]);
            UNROLLED for (int v = 0; v < VECTORS; v++) sums[r][v] += activation * weight[v];
        }
    UNROLLED for (int v = 0; v < VECTORS; v++)
        UNROLLED for (int r = 0; r < R; r++) *(Floats *)(output + (size_t)r * stride + v * LANES) = sums[r][v];
}

/* A block for `rows` rows, at most ROWS_AT_ONCE; `input` is the rounded rows, or the floats themselves. */
static void block(const Linear *map, int is_int8, int column, const void *input, const float *scale, int rows,
                  float *output, int stride)
{
#define CASE(R)                                                                                                  \
    case R: is_int8 ? block_int8(map, column, input, scale, R, output, stride)                                   \
                    : block_float(map, column, input, R, output, stride); break;
    switch (rows) { FOR_ALL_ROWS(CASE) }
#undef CASE
}

/* y [rows, outputs] = x [rows, width] W^T + b. Each block of weights is read once for all rows. */
static void multiply(Work *work, const Model *model, const Linear *map, const float *input, int rows, int width,
                     float *output)
{
    const char *rounded = (const char *)work->rounded;
    size_t row_bytes = model->is_int8 ? (size_t)map->inputs : (size_t)map->inputs * sizeof(float);
    if (model->is_int8) round_rows(work, input, rows, width, map->inputs);
    else rounded = (const char *)input; /* float inputs need no padding */
    for (int column = 0; column < map->outputs; column += COLUMNS)
        for (int row = 0; row < rows; row += ROWS_AT_ONCE) {
            int some = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
            block(map, model->is_int8, column, rounded + row * row_bytes, work->scale + row, some,
                  output + (size_t)row * map->outputs + column, map->outputs);
        }
}

/* -------------------------------------------------------------------------------------------------- 4  attention --- */

/* out [R, V vectors] = a [R, inner] b [inner, V vectors]; R, V and is_half are constants wherever this is inlined. */
INLINE void product_block(const float *a, int a_stride, const void *b, size_t place, int b_stride, int is_half, int inner,
                          int R, int V, float *out, int out_stride)
{
    enum { PARTS = 4 }; /* few sums would wait for each other, so each is the sum of four */
    int parts = R * V < PARTS ? PARTS : 1;
    Floats sums[PARTS][ROWS_AT_ONCE][VECTORS] = {{{{0}}}};
    for (int k = 0; k < inner; k += parts)
        UNROLLED for (int part = 0; part < parts; part++, place += b_stride)
            UNROLLED for (int v = 0; v < V; v++) {
                if (k + part >= inner) break;
                Floats values = cached(b, place + v * LANES, is_half);
                UNROLLED for (int r = 0; r < R; r++) sums[part][r][v] += a[(size_t)r * a_stride + k + part] * values;
            }
    UNROLLED for (int r = 0; r < R; r++)
        UNROLLED for (int v = 0; v < V; v++) {
            if (parts > 1) sums[0][r][v] += sums[1][r][v] + (sums[2][r][v] + sums[3][r][v]);
            *(Floats *)(out + (size_t)r * out_stride + v * LANES) = sums[0][r][v];
        }
}

/* out [rows, columns] = a [rows, inner] b [inner, columns], for at most ROWS_AT_ONCE rows and columns in whole vectors;
 * b is a cache, from `place` on. */
static void product(const float *a, int a_stride, int rows, const void *b, size_t place, int b_stride, int is_half,
                    int inner, int columns, float *out, int out_stride)
{
#define CASE_OF(R, V)                                                                                            \
    if (is_half) product_block(a, a_stride, b, place + c, b_stride, 1, inner, R, V, out + c, out_stride);        \
    else product_block(a, a_stride, b, place + c, b_stride, 0, inner, R, V, out + c, out_stride)
#define CASE(R) case R: if (V > 1) { CASE_OF(R, VECTORS); } else { CASE_OF(R, 1); } break;
    for (int c = 0, V; c < columns; c += V * LANES) {
        V = columns - c >= COLUMNS ? VECTORS : 1;
        switch (rows) { FOR_ALL_ROWS(CASE) }
    }
#undef CASE
#undef CASE_OF
}

/* Turn scores into weights that sum to 1, in place: softmax(scale * scores). The array is padded to whole vectors. */
static void softmax(float *scores, int count, float scale)
{
    Floats *last = (Floats *)(scores + (count - 1) / LANES * LANES);
    *last = first_lanes(*last, (count - 1) % LANES + 1, -INFINITY);
    Floats most = all(-INFINITY), sums = all(0);
    for (int t = 0; t < count; t += LANES) most = larger(most, *(const Floats *)(scores + t));
    float largest = largest_of(most);
    for (int t = 0; t < count; t += LANES) {
        Floats weight = exponential((*(const Floats *)(scores + t) - largest) * scale);
        *(Floats *)(scores + t) = weight;
        sums += weight; /* what stands in the padding is e^-87 */
    }
    float inverse = 1.0f / sum_of(sums);
    for (int t = 0; t < count; t += LANES) *(Floats *)(scores + t) *= inverse;
}

/* Lay keys [count, ..] out as [d_model, count in whole vectors], so that the scores of a query are sums of vectors. */
static void transpose_keys(const float *keys, int stride, int count, int d_model, float *transposed)
{
    int width = whole_vectors(count);
    for (int k = 0; k < d_model; k++) {
        float *row = transposed + (size_t)k * width;
        for (int t = 0; t < width; t++) row[t] = t < count ? keys[(size_t)t * stride + k] : 0;
    }
}

typedef struct { /* keys and values of positions that all rows look at */
    const void *keys, *values; /* [d_model, count in whole vectors], [count, value_stride] */
    int count, value_stride, is_half;
} Memory;

/* context = softmax(q k^T / sqrt(d_k)) v (section 3.2.1, equation 1), head by head (section 3.2.2), for rows that look at
 * the same positions. `seen` [rows, positions], where given, receives the weights of one head. */
static void attend_together(Work *work, const Model *model, const float *queries, int query_stride, int rows, Memory memory,
                            float *context, int seen_head, float *seen)
{
    int d_head = model->d_model / model->num_heads, head_width = whole_vectors(d_head);
    int count = memory.count, width = whole_vectors(count);
    float scale = 1.0f / sqrtf((float)d_head), *weights = work->weights;
    for (int row = 0; row < rows; row += ROWS_AT_ONCE)
        for (int head = 0; head < model->num_heads; head++) {
            int some = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
            size_t first = (size_t)head * d_head;
            product(queries + (size_t)row * query_stride + first, query_stride, some, memory.keys, first * width, width,
                    memory.is_half, d_head, width, weights, width);
            for (int r = 0; r < some; r++) {
                softmax(weights + (size_t)r * width, count, scale);
                if (seen && head == seen_head)
                    memcpy(seen + (size_t)(row + r) * count, weights + (size_t)r * width, (size_t)count * sizeof(float));
            }
            product(weights, width, some, memory.values, first, memory.value_stride, memory.is_half, count, head_width,
                    work->joined, head_width);
            for (int r = 0; r < some; r++)
                memcpy(context + (size_t)(row + r) * model->d_model + first, work->joined + (size_t)r * head_width,
                       (size_t)d_head * sizeof(float));
        }
}

/* The same for the rows of a beam, whose keys lie apart: keys[row * stride + t] points to those of position t, heads in
 * whole vectors, and its values follow. Rows have most of their past in common, so they take turns at each position. */
INLINE void attend_apart(Work *work, const Model *model, const float *queries, int query_stride, int rows, int stride,
                         int count, int is_half, float *context)
{
    int d_head = model->d_model / model->num_heads, head_width = whole_vectors(d_head), width = whole_vectors(count + 3);
    int all_heads = model->num_heads * head_width;
    float scale = 1.0f / sqrtf((float)d_head);
    for (int row = 0; row < rows; row++) {
        put(queries + (size_t)row * query_stride, model->num_heads, d_head, work->queries + (size_t)row * all_heads, 0);
        for (int t = count; t % 4; t++) work->keys[row * stride + t] = work->keys[row * stride]; /* four at a time */
    }
    for (int first = 0, head = 0; head < model->num_heads; head++, first += head_width) {
        for (int t = 0; t < count; t += 4)
            for (int row = 0; row < rows; row++) {
                const float *query = work->queries + (size_t)row * all_heads + first;
                const char **keys = work->keys + row * stride + t;
                Floats sums[4] = {{0}};
                for (int k = 0; k < head_width; k += LANES)
                    for (int i = 0; i < 4; i++) sums[i] += *(const Floats *)(query + k) * cached(keys[i], first + k, is_half);
                for (int i = 0; i < 4; i++) work->weights[(size_t)row * width + t + i] = sum_of(sums[i]);
            }
        for (int row = 0; row < rows; row++) {
            const float *weights = work->weights + (size_t)row * width;
            softmax(work->weights + (size_t)row * width, count, scale);
            for (int k = 0, V; k < head_width; k += V * LANES) {
                V = head_width - k >= COLUMNS ? VECTORS : 1;
                Floats sums[VECTORS] = {{0}};
                for (int t = 0; t < count; t++)
                    for (int v = 0; v < V; v++)
                        sums[v] += weights[t] * cached(work->keys[row * stride + t], all_heads + first + k + v * LANES, is_half);
                float *out = context + (size_t)row * model->d_model + head * d_head;
                for (int v = 0; v < V && k + v * LANES < d_head; v++) store(sums[v], out + k + v * LANES, d_head - k - v * LANES);
            }
        }
    }
}

/* ------------------------------------------------------------------------------------------------- 5  the stacks --- */

/* norm(x) = (x - mean) / sqrt(variance + epsilon) * gain + bias, of each row of d_model. */
static void normalise(const Model *model, const Norm *norm, const float *input, int rows, float *output)
{
    int size = model->d_model;
    for (int row = 0; row < rows; row++, input += size, output += size) {
        Floats sums = all(0), squares = all(0);
        for (int k = 0; k < size; k += LANES) sums += load(input + k, size - k);
        float mean = sum_of(sums) / (float)size;
        for (int k = 0; k < size; k += LANES) {
            Floats distance = first_lanes(load(input + k, size - k) - mean, size - k, 0);
            squares += distance * distance;
        }
        float inverse = 1.0f / sqrtf(sum_of(squares) / (float)size + model->layer_norm_epsilon);
        for (int k = 0; k < size; k += LANES) {
            Floats gain = load(norm->gain + k, size - k), bias = load(norm->bias + k, size - k);
            store((load(input + k, size - k) - mean) * inverse * gain + bias, output + k, size - k);
        }
    }
}

/* What a sub-layer reads: the hidden rows, or under pre-norm their norm. */
static const float *sublayer_input(Work *work, const Model *model, const Norm *norm, int rows)
{
    if (!model->is_pre_norm) return work->hidden;
    normalise(model, norm, work->hidden, rows, work->normed);
    return work->normed;
}

/* hidden = norm(hidden + map(x)), the paper's order; under pre-norm hidden = hidden + map(x). */
static void add_to_hidden(Work *work, const Model *model, const Linear *map, const Norm *norm, const float *input,
                          int rows, int width)
{
    multiply(work, model, map, input, rows, width, work->mapped);
    for (int row = 0; row < rows; row++) {
        float *hidden = work->hidden + (size_t)row * model->d_model;
        const float *mapped = work->mapped + (size_t)row * map->outputs;
        for (int k = 0; k < model->d_model; k++) hidden[k] += mapped[k];
    }
    if (!model->is_pre_norm) normalise(model, norm, work->hidden, rows, work->hidden);
}

/* FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (section 3.3, equation 2), or another activation in the place of max. */
static void feed_forward(Work *work, const Model *model, const Layer *layer, int rows)
{
    const float *input = sublayer_input(work, model, &layer->feed_forward_norm, rows);
    int width = layer->inner.outputs; /* padded with zeros, which every activation leaves at zero */
    multiply(work, model, &layer->inner, input, rows, model->d_model, work->wide);
    float *x = work->wide, *end = x + (size_t)rows * (size_t)width;
    if (model->activation == RELU) for (; x < end; x++) *x = *x > 0 ? *x : 0;
    if (model->activation == GELU) for (; x < end; x++) *x *= 0.5f * (1.0f + erff(*x * 0.70710678f));
    if (model->activation == SWISH) for (; x < end; x++) *x /= 1.0f + expf(-*x);
    add_to_hidden(work, model, &layer->outer, &layer->feed_forward_norm, work->wide, rows, width);
}

/* The input of a stack: embedding times sqrt(d_model), plus position (sections 3.4, 3.5). */
static void embed(const Model *model, const float *table, const float *positions, int32_t id, int position,
                  float *output)
{
    const float *place = positions + (size_t)position * model->d_model;
    const float *row = table + (size_t)(id < 0 ? 0 : id) * model->d_model;
    float scale = id < 0 ? 0 : model->embedding_scale;
    for (int k = 0; k < model->d_model; k++) output[k] = row[k] * scale + place[k];
}

/* Encode sentences that stand one after the other in work->hidden, `lengths[i]` rows each. */
static void encode(Work *work, const Model *model, const int *lengths, int sentences)
{
    int rows = 0, d_model = model->d_model;
    for (int i = 0; i < sentences; i++) rows += lengths[i];
    for (int l = 0; l < model->num_encoder_layers; l++) {
        const Layer *layer = model->encoder + l;
        int stride = layer->queries_keys_values.outputs;
        const float *input = sublayer_input(work, model, &layer->norm, rows);
        multiply(work, model, &layer->queries_keys_values, input, rows, d_model, work->wide);
        for (int i = 0, first = 0; i < sentences; first += lengths[i++]) {
            const float *own = work->wide + (size_t)first * stride;
            transpose_keys(own + d_model, stride, lengths[i], d_model, work->transposed);
            Memory memory = {work->transposed, own + 2 * d_model, lengths[i], stride, 0};
            attend_together(work, model, own, stride, lengths[i], memory, work->context + (size_t)first * d_model, 0, NULL);
        }
        add_to_hidden(work, model, &layer->output, &layer->norm, work->context, rows, d_model);
        feed_forward(work, model, layer, rows);
    }
    if (model->is_pre_norm) normalise(model, &model->encoder_norm, work->hidden, rows, work->hidden);
}

/* --------------------------------------------------------------------------------------------------- 6 candidates --- */

typedef struct { float logit; int32_t id; } Candidate;

typedef struct { /* what is known of a row's next piece */
    float largest; /* of the logits; the sum of e^(logit - largest), lane by lane, is that of `sums` */
    Floats sums; /* log-probability = logit - largest - log(sum_of(sums)) */
    float end; /* the logit of the end of sentence */
    int wanted, found; /* the best candidates that may come, sorted; the lower id first where two are equal */
    Candidate *best;
} Next;

/* What translations begin with (translation/prefixes.py), as places of texts: at each place some pieces may come, and
 * each leads to a place. -1 is the place behind all of it, where every piece may come. */
typedef struct {
    const int64_t *way_starts; /* [places + 1]: the pieces of a place stand in the order of their ids */
    const int32_t *way_ids, *way_places; /* a piece, and the place that it leads to */
    const int32_t *fewest; /* [places]: the least number of pieces from here to the end of the text */
} Spelling;

typedef struct { /* which pieces may come, the rules of translation/constraints.py */
    int32_t end_id;
    int is_end_held_back;
    const Spelling *spelling; /* NULL: the beginning is written */
    int64_t first_way, way, last_way; /* its pieces; those from `way` on were not looked at yet */
    int32_t pieces_left; /* that the beginning may have */
    const uint8_t *is_forbidden; /* [target_vocab_size] */
    const int32_t *blocked; /* would complete an n-gram a second time */
    int num_blocked;
} Rules;

static int may_come(const Rules *rules, int32_t id)
{
    if (rules->is_forbidden[id] || (id == rules->end_id && rules->is_end_held_back)) return 0;
    for (int i = 0; i < rules->num_blocked; i++)
        if (rules->blocked[i] == id) return 0;
    return 1;
}

/* Whether a piece of a beginning leaves enough pieces for the rest of it. */
static int may_lead_on(const Rules *rules, int64_t way)
{
    int32_t place = rules->spelling->way_places[way];
    return place < 0 || 1 + rules->spelling->fewest[place] <= rules->pieces_left;
}

static void insert(Next *next, float logit, int32_t id)
{
    if (next->found == next->wanted && logit <= next->best[next->wanted - 1].logit) return;
    int place = next->found < next->wanted ? next->found++ : next->wanted - 1;
    for (; place > 0 && next->best[place - 1].logit < logit; place--) next->best[place] = next->best[place - 1];
    next->best[place] = (Candidate){logit, id};
}

/* Look at COLUMNS logits of a row, from id `first` on. Most blocks hold no candidate and nothing that the sum feels. */
static void look_at(Next *next, Rules *rules, const float *logits, int32_t first)
{
    enum { NEGLIGIBLE = 30 }; /* e^-30 of the largest, times any vocabulary, is below the last bit of the sum */
    Floats most = *(const Floats *)logits;
    for (int v = 1; v < VECTORS; v++) most = larger(most, *(const Floats *)(logits + v * LANES));
    if (any_above(most, next->largest)) {
        float largest = largest_of(most);
        next->sums *= expf(next->largest - largest);
        next->largest = largest;
    }
    if (any_above(most, next->largest - NEGLIGIBLE))
        for (int v = 0; v < VECTORS; v++)
            next->sums += exponential(*(const Floats *)(logits + v * LANES) - next->largest);
    if (rules->end_id >= first && rules->end_id < first + COLUMNS) next->end = logits[rules->end_id - first];
    if (rules->spelling) {
        for (int32_t id; rules->way < rules->last_way; rules->way++) {
            if ((id = rules->spelling->way_ids[rules->way]) >= first + COLUMNS) break;
            if (may_lead_on(rules, rules->way)) insert(next, logits[id - first], id);
        }
        return;
    }
    float to_beat = next->found < next->wanted ? -INFINITY : next->best[next->wanted - 1].logit;
    if (!any_above(most, to_beat)) return;
    for (int c = 0; c < COLUMNS; c++)
        if (logits[c] > to_beat && may_come(rules, first + c)) {
            insert(next, logits[c], first + c);
            if (next->found == next->wanted) to_beat = next->best[next->wanted - 1].logit;
        }
}

/* The product with the vocabulary, looked at block by block; `kept` [rows, outputs] is NULL, or takes the logits. */
static void find_candidates(Work *work, const Model *model, int rows, Next *next, Rules *rules, float *kept)
{
    const Linear *map = &model->projection;
    float logits[ROWS_AT_ONCE * COLUMNS];
    size_t row_bytes = model->is_int8 ? (size_t)map->inputs : (size_t)map->inputs * sizeof(float);
    const char *input = (const char *)work->rounded;
    if (model->is_int8) round_rows(work, work->hidden, rows, model->d_model, map->inputs);
    else input = (const char *)work->hidden;
    for (int column = 0; column < map->outputs; column += COLUMNS)
        for (int row = 0; row < rows; row += ROWS_AT_ONCE) {
            int some = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
            block(map, model->is_int8, column, input + row * row_bytes, work->scale + row, some, logits, COLUMNS);
            for (int r = 0; r < some; r++) {
                for (int c = model->target_vocab_size - column; c < COLUMNS; c++) logits[r * COLUMNS + c] = -INFINITY;
                look_at(next + row + r, rules + row + r, logits + r * COLUMNS, column);
                if (kept) memcpy(kept + (size_t)(row + r) * map->outputs + column, logits + r * COLUMNS, COLUMNS * sizeof(float));
            }
        }
    for (int row = 0; row < rows; row++)
        if (!next[row].found && !rules[row].spelling && rules[row].is_end_held_back) /* rule 5: it may, after all */
            insert(next + row, next[row].end, rules[row].end_id);
}

/* ------------------------------------------------------------------------------------------------------ 7  search --- */

enum { NOT_FINITE = -1, NO_MEMORY = -2 }; /* the model computed a number that is not finite; there is no memory */

typedef struct {
    int32_t beam_size, min_length, no_repeat_ngram_size, end_id;
    const double *divisors; /* [longest limit + 1]: the length penalty (Wu et al. 2016, equation 14, or another form) */
    const uint8_t *is_forbidden; /* [target_vocab_size] */
    int32_t seen_layer, seen_head; /* the head whose weights are wanted; -1: none */
    int32_t is_sampling, top_k; /* top_k of 0 is all */
    double temperature, top_p;
} Settings;

typedef struct { double sum; float gain; int32_t id, parent; } Choice; /* a row that goes on with a piece */
typedef struct { int32_t id, parent, place; float gain; } Step; /* a row's piece, and where its beginning has come to */

typedef struct { /* the tokens are read back through the parents */
    double score;
    int32_t is_finished, length;
    Choice last; /* its id is -1 where the row itself is the hypothesis */
} Hypothesis;

typedef struct { /* a place where sentences are searched, one after the other */
    int32_t sentence; /* -1: free */
    int source_length, limit, step, width; /* width: live rows */
    int capacity; /* positions that `past`, `steps` and `seen` have room for; more than `step` */
    char *memory; /* of the encoder's output, for each layer: its keys transposed, then its values */
    char **past; /* [layers], each [capacity, beam]: keys and values of the decoder's own rows */
    Step *steps; /* [capacity, beam] */
    float *seen; /* [capacity, beam, source_length] where a head's weights are wanted */
    uint16_t *ancestors, *next_ancestors; /* [beam, longest]: in which row of a step this row's past stands */
    double *sums; /* [beam] */
    Hypothesis best; /* of those that ended; its length is 0 before the first */
    double to_beat; /* the score of the last one that will be returned, once there are enough */
    int num_finished;
} Slot;

typedef struct { /* sentences to translate, shared by the threads that do it */
    const int32_t *source_ids; /* with the end of sentence */
    const int64_t *source_starts; /* [sentences + 1] */
    Spelling spelling;
    const int32_t *first_places; /* [sentences]: what the translation begins with; -1: anything */
    const int32_t *most_pieces; /* [sentences]: that the beginning may have */
    const int32_t *limits; /* [sentences]: most tokens, end of sentence included */
    const double *uniform; /* [places of ids]: random numbers of [0, 1), where pieces are drawn */
    int32_t num_sentences;
    Settings settings;
    /* One hypothesis of each sentence, limits[i] places from result_starts[i] on: where one is wanted the best, and
     * where several are (n_best over 1) the one that `on_end` hears of. */
    const int64_t *result_starts; /* [sentences] */
    int32_t *ids;
    float *gains;
    int32_t *lengths, *is_finished, *outcomes; /* [sentences]; an outcome is 0, NOT_FINITE or NO_MEMORY */
    float *seen; /* where wanted: [places of ids, source_length of the sentence], from seen_starts[i] on */
    const int64_t *seen_starts;
    /* Python keeps n-best lists, since it alone knows which hypotheses are one text. A spare is a hypothesis that the
     * search for one would drop. Returns the score to beat: of the last one that would be returned, or -infinity. */
    double (*on_end)(int32_t sentence, int32_t is_spare);
    int32_t (*has_enough)(int32_t sentence);
    _Atomic int32_t next, num_done, is_cancelled;
    const volatile uint8_t *is_dropped; /* [sentences]: nobody waits for it any longer */
} Job;

typedef struct {
    const Model *model;
    int num_slots, beam_size, longest, rows; /* rows: capacity of a product */
    Work work;
    Slot *slots;
    int *row_slot, *row_beam; /* [rows] */
    Next *next; /* [rows] */
    Candidate *candidates; /* [rows, 2 beam] */
    Rules *rules; /* [rows] */
    int32_t *blocked; /* [rows, longest]: the pieces that would repeat an n-gram */
    float *logits; /* [rows, outputs], and for one row the pieces that may come, and sums: where pieces are drawn */
    Candidate *pool;
    double *sums; /* [outputs] */
    void *owned[32]; /* what is freed with it */
    int num_owned;
} Worker;

/* Make an array at least so large; its content stays. Returns 0 where there is no memory for it. */
static int reserve(void *array, size_t count, size_t size)
{
    void **place = array, *larger_one = realloc(*place, count * size + 64);
    if (larger_one) *place = larger_one;
    return larger_one != NULL;
}

static int is_half(const Model *model) { return HAS_HALVES && model->is_int8; }
static size_t bytes_of(const Model *model) { return is_half(model) ? sizeof(uint16_t) : sizeof(float); } /* a number's */
static size_t past_bytes_of(const Model *model) /* keys and values of a row */
{
    return 2 * (size_t)model->num_heads * whole_vectors(model->d_model / model->num_heads) * bytes_of(model);
}

/* Give a slot room for more positions. */
static int grow(const Worker *worker, Slot *slot, const Settings *settings, int capacity)
{
    const Model *model = worker->model;
    size_t rows = (size_t)capacity * worker->beam_size;
    for (int l = 0; l < model->num_decoder_layers; l++)
        if (!reserve(slot->past + l, rows, past_bytes_of(model))) return 0;
    slot->capacity = capacity;
    return reserve(&slot->steps, rows, sizeof *slot->steps) &&
           (settings->seen_layer < 0 || reserve(&slot->seen, rows * slot->source_length, sizeof *slot->seen));
}

static int32_t source_length_of(const Job *job, int32_t sentence)
{
    return (int32_t)(job->source_starts[sentence + 1] - job->source_starts[sentence]);
}

/* The keys and values of a layer, in slot->memory. */
static Memory memory_of(const Slot *slot, const Model *model, int layer)
{
    size_t keys = (size_t)model->d_model * whole_vectors(slot->source_length);
    size_t values = (size_t)whole_vectors(model->d_model) * slot->source_length;
    const char *start = slot->memory + layer * (keys + values) * bytes_of(model);
    return (Memory){start, start + keys * bytes_of(model), slot->source_length, whole_vectors(model->d_model), is_half(model)};
}

/* Prepare a slot for a sentence whose rows of the encoder's output begin at `first` in work->hidden: the keys and
 * values of the cross-attention are computed once, and all of its rows will share them. */
static int begin(Worker *worker, Job *job, Slot *slot, int32_t sentence, int first)
{
    enum { FIRST_CAPACITY = 32 };
    const Model *model = worker->model;
    Work *work = &worker->work;
    slot->sentence = sentence;
    slot->source_length = source_length_of(job, sentence);
    slot->limit = job->limits[sentence];
    slot->step = 0, slot->width = 1, slot->num_finished = 0, slot->best.length = 0, slot->to_beat = -INFINITY;
    slot->sums[0] = 0;
    int capacity = slot->capacity > FIRST_CAPACITY ? slot->capacity : FIRST_CAPACITY;
    if (!grow(worker, slot, &job->settings, capacity)) return 0;
    size_t width = whole_vectors(slot->source_length), value_width = whole_vectors(model->d_model);
    size_t bytes = (model->d_model * width + value_width * slot->source_length) * model->num_decoder_layers * bytes_of(model);
    if (!reserve(&slot->memory, bytes, 1)) return 0;
    for (int l = 0; l < model->num_decoder_layers; l++) {
        const Linear *map = &model->decoder[l].cross_keys_values;
        Memory memory = memory_of(slot, model, l);
        multiply(work, model, map, work->hidden + (size_t)first * model->d_model, slot->source_length, model->d_model, work->wide);
        transpose_keys(work->wide, map->outputs, slot->source_length, model->d_model, work->transposed);
        put(work->transposed, model->d_model, (int)width, (void *)memory.keys, memory.is_half);
        for (size_t t = 0; t < (size_t)slot->source_length; t++)
            put(work->wide + t * map->outputs + model->d_model, 1, model->d_model,
                (char *)memory.values + t * value_width * bytes_of(model), memory.is_half);
    }
    return 1;
}

/* Write a hypothesis down, from its end to its beginning. */
static void write_down(const Worker *worker, Job *job, const Slot *slot, const Hypothesis *hypothesis)
{
    int32_t sentence = slot->sentence, row = hypothesis->last.parent;
    int64_t start = job->result_starts[sentence];
    job->lengths[sentence] = hypothesis->length, job->is_finished[sentence] = hypothesis->is_finished;
    for (int t = hypothesis->length - 1; t >= 0; t--) {
        int is_last = t == hypothesis->length - 1 && hypothesis->last.id >= 0;
        size_t place = (size_t)t * worker->beam_size + row;
        job->ids[start + t] = is_last ? hypothesis->last.id : slot->steps[place].id;
        job->gains[start + t] = is_last ? hypothesis->last.gain : slot->steps[place].gain;
        if (!is_last) row = slot->steps[place].parent;
        if (job->settings.seen_layer >= 0) /* the weights of the step that chose the piece at t */
            memcpy(job->seen + job->seen_starts[sentence] + (int64_t)t * slot->source_length,
                   slot->seen + ((size_t)t * worker->beam_size + row) * slot->source_length,
                   (size_t)slot->source_length * sizeof(float));
    }
}

/* Free the slot of a sentence that is over. */
static void end(const Worker *worker, Job *job, Slot *slot, int32_t outcome)
{
    if (!outcome && !job->on_end) write_down(worker, job, slot, &slot->best);
    job->outcomes[slot->sentence] = outcome;
    slot->sentence = -1;
    atomic_fetch_add(&job->num_done, 1);
}

/* Take waiting sentences into free slots: their source is encoded together. */
static void refill(Worker *worker, Job *job)
{
    const Model *model = worker->model;
    int32_t lengths[64], places[64], sentences[64], count = 0, rows = 0, place = 0;
    for (;;) {
        while (place < worker->num_slots && worker->slots[place].sentence >= 0) place++;
        int32_t sentence = place < worker->num_slots && count < 64 && !atomic_load(&job->is_cancelled)
                               ? atomic_fetch_add(&job->next, 1)
                               : job->num_sentences;
        int is_over = sentence >= job->num_sentences;
        if (count && (is_over || rows + source_length_of(job, sentence) > worker->rows)) {
            encode(&worker->work, model, lengths, count);
            for (int i = 0, first = 0; i < count; first += lengths[i++])
                if (!begin(worker, job, worker->slots + places[i], sentences[i], first))
                    end(worker, job, worker->slots + places[i], NO_MEMORY);
            count = rows = 0;
        }
        if (is_over) return;
        int length = source_length_of(job, sentence);
        const int32_t *ids = job->source_ids + job->source_starts[sentence];
        for (int t = 0; t < length; t++)
            embed(model, model->source_embedding, model->source_positions, ids[t], t,
                  worker->work.hidden + (size_t)(rows + t) * model->d_model);
        worker->slots[place].sentence = sentence; /* taken, until `begin` has made it ready */
        lengths[count] = length, places[count] = place++, sentences[count++] = sentence;
        rows += length;
    }
}

/* One step of the decoder for all live rows of all slots: hidden [rows, d_model] is what the vocabulary is asked. */
static void decode_step(Worker *worker, const Settings *settings, int rows)
{
    const Model *model = worker->model;
    Work *work = &worker->work;
    int d_model = model->d_model, beam = worker->beam_size;
    size_t past_bytes = past_bytes_of(model), past_stride = (size_t)worker->longest + 4;
    for (int row = 0; row < rows; row++) {
        const Slot *slot = worker->slots + worker->row_slot[row];
        int b = worker->row_beam[row];
        int32_t id = slot->step ? slot->steps[(size_t)(slot->step - 1) * beam + b].id : model->start_id;
        embed(model, model->target_embedding, model->target_positions, id, slot->step,
              work->hidden + (size_t)row * d_model);
    }
    for (int l = 0; l < model->num_decoder_layers; l++) {
        const Layer *layer = model->decoder + l;
        int stride = layer->queries_keys_values.outputs;
        const float *input = sublayer_input(work, model, &layer->norm, rows);
        multiply(work, model, &layer->queries_keys_values, input, rows, d_model, work->wide);
        for (int row = 0, some; row < rows; row += some) { /* the rows of a sentence together */
            const Slot *slot = worker->slots + worker->row_slot[row];
            int b = worker->row_beam[row], now = slot->step;
            some = slot->width - b < ROWS_AT_ONCE ? slot->width - b : ROWS_AT_ONCE;
            const float *own = work->wide + (size_t)row * stride;
            for (int r = 0; r < some; r++) {
                const uint16_t *ancestors = slot->ancestors + (size_t)(b + r) * worker->longest;
                char *here = slot->past[l] + ((size_t)now * beam + b + r) * past_bytes;
                put(own + (size_t)r * stride + d_model, 2 * model->num_heads, d_model / model->num_heads, here, is_half(model));
                for (int t = 0; t < now; t++)
                    work->keys[r * past_stride + t] = slot->past[l] + ((size_t)t * beam + ancestors[t]) * past_bytes;
                work->keys[r * past_stride + now] = here;
            }
            float *context = work->context + (size_t)row * d_model;
            if (is_half(model)) attend_apart(work, model, own, stride, some, (int)past_stride, now + 1, 1, context);
            else attend_apart(work, model, own, stride, some, (int)past_stride, now + 1, 0, context);
        }
        add_to_hidden(work, model, &layer->output, &layer->norm, work->context, rows, d_model);
        input = sublayer_input(work, model, &layer->cross_norm, rows);
        multiply(work, model, &layer->cross_queries, input, rows, d_model, work->wide);
        for (int row = 0; row < rows;) { /* the rows of a sentence share its memory */
            const Slot *slot = worker->slots + worker->row_slot[row];
            float *seen = slot->seen + (size_t)slot->step * beam * slot->source_length;
            if (l != settings->seen_layer) seen = NULL;
            stride = layer->cross_queries.outputs;
            attend_together(work, model, work->wide + (size_t)row * stride, stride, slot->width,
                            memory_of(slot, model, l), work->context + (size_t)row * d_model, settings->seen_head, seen);
            row += slot->width;
        }
        add_to_hidden(work, model, &layer->cross_output, &layer->cross_norm, work->context, rows, d_model);
        feed_forward(work, model, layer, rows);
    }
    if (model->is_pre_norm) normalise(model, &model->decoder_norm, work->hidden, rows, work->hidden);
}

/* The id of a live row at an earlier step, through its ancestors. */
static int32_t id_at(const Worker *worker, const Slot *slot, int b, int step)
{
    int ancestor = step + 1 < slot->step ? slot->ancestors[(size_t)b * worker->longest + step + 1] : b;
    return slot->steps[(size_t)step * worker->beam_size + ancestor].id;
}

/* The place of a row in what its translation begins with. */
static int32_t place_of(const Worker *worker, const Job *job, const Slot *slot, int b)
{
    if (!slot->step) return job->first_places[slot->sentence];
    return slot->steps[(size_t)(slot->step - 1) * worker->beam_size + b].place;
}

/* Where a piece leads to. */
static int32_t place_after(const Spelling *spelling, int32_t place, int32_t id)
{
    if (place < 0) return -1;
    int64_t way = spelling->way_starts[place];
    while (spelling->way_ids[way] != id) way++; /* no other piece is a candidate */
    return spelling->way_places[way];
}

/* Say which pieces may come next in a row. */
static void set_rules(Worker *worker, const Job *job, int row)
{
    const Settings *settings = &job->settings;
    const Slot *slot = worker->slots + worker->row_slot[row];
    int b = worker->row_beam[row], size = settings->no_repeat_ngram_size;
    int32_t place = place_of(worker, job, slot, b);
    Rules *rules = worker->rules + row;
    *rules = (Rules){settings->end_id, slot->step < settings->min_length, .is_forbidden = settings->is_forbidden};
    if (place >= 0) {
        rules->spelling = &job->spelling, rules->pieces_left = job->most_pieces[slot->sentence] - slot->step;
        rules->first_way = rules->way = job->spelling.way_starts[place], rules->last_way = job->spelling.way_starts[place + 1];
        return;
    }
    if (size < 1 || slot->step < size) return;
    int32_t *blocked = worker->blocked + (size_t)row * worker->longest;
    for (int first = 0; first + size <= slot->step; first++) {
        int k = 0;
        while (k < size - 1 && id_at(worker, slot, b, first + k) == id_at(worker, slot, b, slot->step - size + 1 + k)) k++;
        if (k == size - 1) blocked[rules->num_blocked++] = id_at(worker, slot, b, first + k);
    }
    rules->blocked = blocked;
}

/* Take in a hypothesis: finished ones come before others, then the score decides, then who was earlier. */
static void keep(const Worker *worker, Job *job, Slot *slot, Choice last, int is_finished, int is_spare)
{
    int length = slot->step + (last.id >= 0);
    Hypothesis hypothesis = {last.sum / job->settings.divisors[length], is_finished, length, last};
    const Hypothesis *best = &slot->best;
    slot->num_finished += is_finished && !is_spare;
    if (job->on_end) {
        write_down(worker, job, slot, &hypothesis);
        slot->to_beat = job->on_end(slot->sentence, is_spare);
    } else if (!is_spare && (!best->length || is_finished > best->is_finished ||
                             (is_finished == best->is_finished && hypothesis.score > best->score))) {
        slot->best = hypothesis;
        if (is_finished) slot->to_beat = hypothesis.score;
    }
}

/* The best 2 * beam_size candidates of a sentence by summed log-probability, of rows whose candidates are sorted.
 * Equal ones are ordered by row, then by id. */
static int choose(const Worker *worker, const Slot *slot, int first_row, Choice *choices)
{
    int beam = worker->beam_size, taken[slot->width], count = 0;
    float normaliser[slot->width];
    for (int b = 0; b < slot->width; b++) taken[b] = 0, normaliser[b] = logf(sum_of(worker->next[first_row + b].sums));
    for (; count < 2 * beam; count++) {
        Choice best = {-INFINITY, 0, -1, -1};
        for (int b = 0; b < slot->width; b++) {
            const Next *next = worker->next + first_row + b;
            if (taken[b] >= next->found) continue;
            Candidate candidate = next->best[taken[b]];
            float gain = (candidate.logit - next->largest) - normaliser[b];
            double sum = slot->sums[b] + gain;
            if (sum > best.sum) best = (Choice){sum, gain, candidate.id, b};
        }
        if (best.parent < 0) break;
        taken[best.parent]++;
        choices[count] = best;
    }
    return count;
}

/* Move a slot one step on: finish what has ended, keep the best beam_size others, end the sentence where it is over.
 * The rules are those of translation/beam.py. */
static void advance(Worker *worker, Job *job, Slot *slot, int first_row)
{
    const Settings *settings = &job->settings;
    int beam = worker->beam_size, width = 0, is_at_limit = slot->step + 1 >= slot->limit;
    int only_fills_up = slot->num_finished >= beam; /* the search for one is over, and a list is not full yet */
    Choice choices[2 * beam];
    int count = choose(worker, slot, first_row, choices);
    for (int rank = 0; rank < count; rank++)
        if (choices[rank].id == settings->end_id && (rank < beam || job->on_end))
            keep(worker, job, slot, choices[rank], 1, only_fills_up || rank >= beam);
    for (int rank = 0; rank < count && width < beam; rank++)
        if (choices[rank].id != settings->end_id) choices[width++] = choices[rank]; /* to the front, in order */
    for (int b = 0; is_at_limit && b < width; b++) keep(worker, job, slot, choices[b], 0, only_fills_up);
    for (int b = 0; !count && b < slot->width; b++) /* no row can go on: the rows are what there is */
        keep(worker, job, slot, (Choice){slot->sums[b], 0, -1, b}, 0, only_fills_up);
    int is_full = slot->num_finished >= beam && (!job->on_end || job->has_enough(slot->sentence));
    int is_over = !width || is_at_limit || is_full || choices[0].sum / settings->divisors[slot->limit] <= slot->to_beat;
    if (is_over || (slot->step + 2 > slot->capacity && !grow(worker, slot, settings, 2 * slot->capacity))) {
        end(worker, job, slot, is_over ? 0 : NO_MEMORY);
        return;
    }
    for (int b = 0; b < width; b++) {
        Choice choice = choices[b];
        int32_t place = place_after(&job->spelling, place_of(worker, job, slot, choice.parent), choice.id);
        slot->steps[(size_t)slot->step * beam + b] = (Step){choice.id, choice.parent, place, choice.gain};
        slot->sums[b] = choice.sum;
        uint16_t *ancestors = slot->next_ancestors + (size_t)b * worker->longest;
        memcpy(ancestors, slot->ancestors + (size_t)choice.parent * worker->longest, (size_t)slot->step * sizeof *ancestors);
        ancestors[slot->step] = (uint16_t)choice.parent;
    }
    uint16_t *kept = slot->ancestors;
    slot->ancestors = slot->next_ancestors, slot->next_ancestors = kept;
    slot->step++, slot->width = width;
}

static int comes_before(Candidate a, Candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }
/* Let a candidate sink to its place in a heap, whose best candidate stands first. */
static void sink(Candidate *heap, int count, int place)
{
    for (int child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && comes_before(heap[child + 1], heap[child])) child++;
        if (comes_before(heap[place], heap[child])) return;
        Candidate sinking = heap[place];
        heap[place] = heap[child], heap[child] = sinking;
    }
}

/* Draw one of the candidates, which stand in the order of their ids, by the inverse of the distribution function. The
 * temperature comes first, then top_k, then top_p: the rules of translation/sampling.py. */
static Candidate draw(const Settings *settings, Candidate *pool, int count, double *sums, double uniform)
{
    int is_narrowed = settings->top_k > 0 || settings->top_p < 1, n = 0;
    int most = settings->top_k > 0 && settings->top_k < count ? settings->top_k : count;
    double largest = pool[0].logit, whole = 0, sum = 0;
    for (int i = 1; i < count; i++) largest = pool[i].logit > largest ? pool[i].logit : largest;
    for (int i = 0; settings->top_p < 1 && most == count && i < count; i++)
        whole += exp((pool[i].logit - largest) / settings->temperature);
    for (int place = count / 2; is_narrowed && place-- > 0;) sink(pool, count, place);
    while (n < most && !(whole > 0 && sum >= settings->top_p * whole)) {
        Candidate best = pool[is_narrowed ? 0 : n];
        if (is_narrowed) { /* the best leave the heap for the end of the array */
            int last = count - 1 - n;
            pool[0] = pool[last], pool[last] = best;
            sink(pool, last, 0);
        }
        sums[n++] = sum += exp((best.logit - largest) / settings->temperature);
    }
    if (!(whole > 0)) whole = sum;
    while (n > 1 && settings->top_p < 1 && sums[n - 2] >= settings->top_p * whole) n--;
    int drawn = 0;
    while (drawn < n - 1 && sums[drawn] <= uniform * sums[n - 1]) drawn++;
    return pool[is_narrowed ? count - 1 - drawn : drawn];
}

/* Leave each row one of its candidates, which is drawn. */
static void draw_candidates(Worker *worker, const Job *job, int rows)
{
    for (int row = 0; row < rows; row++) {
        const Slot *slot = worker->slots + worker->row_slot[row];
        const float *logits = worker->logits + (size_t)row * worker->model->projection.outputs;
        const Rules *rules = worker->rules + row;
        Next *next = worker->next + row;
        Candidate *pool = worker->pool, *last = pool;
        for (int64_t way = rules->first_way; way < rules->last_way; way++) {
            int32_t id = rules->spelling->way_ids[way];
            if (may_lead_on(rules, way)) *last++ = (Candidate){logits[id], id};
        }
        for (int32_t id = 0; !rules->spelling && id < worker->model->target_vocab_size; id++)
            if (may_come(rules, id)) *last++ = (Candidate){logits[id], id};
        double uniform = job->uniform[job->result_starts[slot->sentence] + slot->step];
        if (last > pool) next->best[0] = draw(&job->settings, pool, (int)(last - pool), worker->sums, uniform);
        next->found = next->found > 0;
    }
}

/* Prepare the rows of all live hypotheses, the rows of a slot one after the other. */
static int gather_rows(Worker *worker, const Job *job)
{
    int rows = 0;
    for (int s = 0; s < worker->num_slots; s++)
        for (int b = 0; worker->slots[s].sentence >= 0 && b < worker->slots[s].width; b++, rows++) {
            worker->row_slot[rows] = s, worker->row_beam[rows] = b;
            worker->next[rows] = (Next){-INFINITY, {0}, -INFINITY, 2 * worker->beam_size, 0,
                                        worker->candidates + (size_t)rows * 2 * worker->beam_size};
            set_rules(worker, job, rows);
        }
    return rows;
}

/* -------------------------------------------------------------------------------------------- 8  the entry points --- */

int32_t engine_columns(void) { return COLUMNS; } /* what the weights' packing depends on */

int32_t engine_sizes(int32_t which) /* so that Python and C cannot disagree about a record in silence */
{
    int32_t sizes[] = {sizeof(Linear), sizeof(Layer), sizeof(Model), sizeof(Settings), sizeof(Spelling), sizeof(Job)};
    return which < 0 || which >= (int32_t)(sizeof sizes / sizeof *sizes) ? -1 : sizes[which];
}

void engine_end_worker(Worker *worker)
{
    for (int s = 0; worker->slots && s < worker->num_slots; s++) {
        Slot *slot = worker->slots + s;
        for (int l = 0; slot->past && l < worker->model->num_decoder_layers; l++) free(slot->past[l]);
        free(slot->memory), free(slot->steps), free(slot->seen);
    }
    for (int i = 0; i < worker->num_owned; i++) free(worker->owned[i]);
    free(worker->logits), free(worker);
}

/* Make the memory of one thread: `num_slots` sentences at a time, `beam_size` rows each; no sentence has more than
 * `longest` positions on either side. NULL where there is no memory. */
Worker *engine_new_worker(const Model *model, int32_t num_slots, int32_t beam_size, int32_t longest)
{
    Worker *worker = calloc(1, sizeof *worker);
    if (!worker) return NULL;
    worker->model = model, worker->num_slots = num_slots, worker->beam_size = beam_size, worker->longest = longest;
    worker->rows = num_slots * beam_size > longest ? num_slots * beam_size : longest;
    size_t rows = (size_t)worker->rows, d_model = (size_t)model->d_model, wide = 3 * d_model + COLUMNS;
    size_t past = (size_t)beam_size * longest, heads = past_bytes_of(model) / 2 / bytes_of(model);
    if ((size_t)model->d_feedforward + COLUMNS > wide) wide = (size_t)model->d_feedforward + COLUMNS;
    Work *work = &worker->work;
    char **pasts;
    double *sums;
    uint16_t *ancestors;
    int is_made = 1;
#define OWN(array, count) /* to be freed with the worker */                                                      \
    is_made &= (worker->owned[worker->num_owned++] = array = calloc((count) * sizeof *array + 64, 1)) != NULL
    OWN(work->hidden, rows * d_model), OWN(work->normed, rows * d_model), OWN(work->context, rows * d_model);
    OWN(work->wide, rows * wide), OWN(work->rounded, rows * wide), OWN(work->mapped, rows * (d_model + COLUMNS));
    OWN(work->scale, rows), OWN(work->queries, ROWS_AT_ONCE * heads), OWN(work->keys, ROWS_AT_ONCE * (longest + 4));
    OWN(work->weights, ROWS_AT_ONCE * whole_vectors(longest + 4)), OWN(work->joined, ROWS_AT_ONCE * heads);
    OWN(work->transposed, d_model * whole_vectors(longest)), OWN(worker->slots, num_slots), OWN(sums, num_slots * beam_size);
    OWN(worker->row_slot, rows), OWN(worker->row_beam, rows), OWN(worker->next, rows), OWN(worker->rules, rows);
    OWN(worker->candidates, rows * 2 * beam_size), OWN(pasts, num_slots * model->num_decoder_layers);
    OWN(ancestors, 2 * num_slots * past), OWN(worker->blocked, rows * longest), OWN(worker->pool, model->projection.outputs);
    OWN(worker->sums, model->projection.outputs);
#undef OWN
    for (int s = 0; is_made && s < num_slots; s++) {
        Slot *slot = worker->slots + s;
        slot->sentence = -1, slot->past = pasts + (size_t)s * model->num_decoder_layers;
        slot->sums = sums + (size_t)s * beam_size;
        slot->ancestors = ancestors + 2 * s * past, slot->next_ancestors = slot->ancestors + past;
    }
    if (is_made) return worker;
    engine_end_worker(worker);
    return NULL;
}

/* Translate sentences of a job until none is left; several threads may do so at once, each with its own worker. */
void engine_run(Worker *worker, Job *job)
{
    const Settings *settings = &job->settings;
    size_t logits = settings->is_sampling ? (size_t)worker->rows * worker->model->projection.outputs : 0;
    if (!reserve(&worker->logits, logits, sizeof(float))) return; /* Python finds all sentences undone */
    for (;;) {
        int busy = 0;
        for (int s = 0; s < worker->num_slots; s++) busy += worker->slots[s].sentence >= 0;
        if (!busy || (worker->num_slots - busy) * 8 >= worker->num_slots) refill(worker, job);
        for (Slot *slot = worker->slots; slot < worker->slots + worker->num_slots; slot++)
            if (slot->sentence >= 0 && (job->is_cancelled || job->is_dropped[slot->sentence])) slot->sentence = -1;
        int rows = gather_rows(worker, job);
        if (!rows) return;
        decode_step(worker, settings, rows);
        float *kept = settings->is_sampling ? worker->logits : NULL;
        find_candidates(&worker->work, worker->model, rows, worker->next, worker->rules, kept);
        if (kept) draw_candidates(worker, job, rows);
        for (int row = 0; row < rows;) {
            Slot *slot = worker->slots + worker->row_slot[row];
            int first = row, is_finite = 1;
            for (row += slot->width; first < row; first++)
                is_finite &= isfinite(logf(sum_of(worker->next[first].sums)));
            first -= slot->width;
            if (is_finite) advance(worker, job, slot, first);
            else end(worker, job, slot, NOT_FINITE);
        }
    }
}
