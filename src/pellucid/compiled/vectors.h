/* Vectors of floats for the C files of training, and rows of numbers in memory: float32 or bfloat16, float32 inside. */

#ifndef PELLUCID_VECTORS_H
#define PELLUCID_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int16_t Shorts __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE int whole_vectors(int count) { return (count + LANES - 1) / LANES * LANES; }
INLINE Floats all(float value) { return (Floats){0} + value; }
INLINE Floats chosen(Integers where, Floats a, Floats b) { return (Floats)((where & (Integers)a) | (~where & (Integers)b)); }

/* The compiler makes sixteen lanes one by one of some loops that it turns into one instruction for eight; hence the
 * instructions by name below, which compute the same. */

INLINE float sum_of(Floats values)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)values);
#else
    float sums[LANES];
    *(Floats *)sums = values;
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
    return sums[0];
#endif
}

/* e^x for x <= 0, within 2 units in the last place; e^-87 below -87. NaN stays NaN: a step must see that it is broken. */
INLINE Floats exponential(Floats x)
{
    x = chosen(x < -87.0f, all(-87.0f), x);
    Floats k = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* x / ln 2, rounded to an integer by its magnitude */
    Floats r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = (p * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = (p * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    Integers power = __builtin_convertvector(chosen(k == k, k, all(0)), Integers);
    return p * (Floats)((power + 127) << 23);
}

/* The largest lane. */
INLINE float largest_of(Floats values)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)values);
#else
    float lanes[LANES], largest;
    *(Floats *)lanes = values;
    largest = lanes[0];
    for (int lane = 1; lane < LANES; lane++) largest = largest > lanes[lane] ? largest : lanes[lane];
    return largest;
#endif
}

/* Lanes of the lower or the upper halves of two vectors in turns. */
#if defined(__clang__)
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (Integers){__VA_ARGS__})
#endif
#if defined(__AVX512F__)
#define LOWER_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define LOWER_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOWER_HALVES 0, 4, 1, 5
#define UPPER_HALVES 2, 6, 3, 7
#endif
#define UNROLLED _Pragma("GCC unroll 16") /* so that small arrays live in registers */

/* Transpose a square of numbers. Each round moves the highest bit of a number's row and lane, one after the other, to the
 * end, so after as many rounds as a lane has bits, rows and lanes have changed places. */
INLINE void transpose_square(Floats rows[LANES])
{
    Floats turned[LANES];
    UNROLLED for (int round = 1; round < LANES; round *= 2) {
        UNROLLED for (int i = 0; i < LANES / 2; i++) {
            turned[2 * i] = SHUFFLED(rows[i], rows[i + LANES / 2], LOWER_HALVES);
            turned[2 * i + 1] = SHUFFLED(rows[i], rows[i + LANES / 2], UPPER_HALVES);
        }
        UNROLLED for (int i = 0; i < LANES; i++) rows[i] = turned[i];
    }
}

/* ------------------------------------------------------------------------------------------- numbers in memory --- */

/* bfloat16 numbers as floats. */
INLINE Floats widened(const uint16_t *halves)
{
#if defined(__AVX512F__)
    return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)halves)), 16);
#else
    return (Floats)(__builtin_convertvector(*(const Halves *)halves, Bits) << 16);
#endif
}

/* `count` numbers as floats; zeros fill the last vector up. */
INLINE void read_row(const void *from, size_t place, int count, int is_bfloat16, float *to)
{
    int k = 0;
    if (is_bfloat16) {
        const uint16_t *halves = (const uint16_t *)from + place;
        for (; k + LANES <= count; k += LANES)
            *(Floats *)(to + k) = widened(halves + k);
        for (; k < count; k++) {
            uint32_t bits = (uint32_t)halves[k] << 16;
            float value;
            memcpy(&value, &bits, 4);
            to[k] = value;
        }
    } else {
        const float *floats = (const float *)from + place;
        for (; k + LANES <= count; k += LANES) *(Floats *)(to + k) = *(const Floats *)(floats + k);
        for (; k < count; k++) to[k] = floats[k];
    }
    for (int end = whole_vectors(count); k < end; k++) to[k] = 0;
}

/* Round floats to the nearest bfloat16, to the even one of two; NaN stays NaN. */
INLINE Halves rounded(Floats values)
{
    Bits bits = (Bits)values;
    bits += 0x7fff + ((bits >> 16) & 1);
    bits = (Bits)chosen(values == values, (Floats)bits, (Floats)((Bits){0} + 0x7fc00000u));
#if defined(__AVX512F__)
    return (Halves)_mm512_cvtepi32_epi16((__m512i)(bits >> 16));
#else
    return __builtin_convertvector(bits >> 16, Halves);
#endif
}

INLINE void write_row(const float *from, int count, int is_bfloat16, void *to, size_t place)
{
    if (!is_bfloat16) {
        memcpy((float *)to + place, from, (size_t)count * sizeof(float));
        return;
    }
    uint16_t *halves = (uint16_t *)to + place;
    int k = 0;
    for (; k + LANES <= count; k += LANES) *(Halves *)(halves + k) = rounded(*(const Floats *)(from + k));
    if (k < count) {
        Halves last = rounded(*(const Floats *)(from + k)); /* rows of scratch are whole vectors */
        memcpy(halves + k, &last, (size_t)(count - k) * 2);
    }
}

/* The vector of a row from `place` on, of which `left` numbers are left; zeros fill the last one up. */
INLINE Floats read_vector(const void *from, size_t place, int left, int is_bfloat16)
{
    if (left < LANES) {
        float lanes[LANES];
        read_row(from, place, left, is_bfloat16, lanes);
        return *(const Floats *)lanes;
    }
    return is_bfloat16 ? widened((const uint16_t *)from + place) : *(const Floats *)((const float *)from + place);
}

INLINE void write_vector(Floats values, int left, int is_bfloat16, void *to, size_t place)
{
    if (left < LANES) write_row((const float *)&values, left, is_bfloat16, to, place);
    else if (is_bfloat16) *(Halves *)((uint16_t *)to + place) = rounded(values);
    else *(Floats *)((float *)to + place) = values;
}

/* -------------------------------------------------------------------------------------------- numbers of chance --- */

static const uint32_t LANE_NUMBERS[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* 32 bits for each number from `first` on, the same for the same seed: two rounds of a mixing function by C. Wellons. */
INLINE Bits drawn(uint64_t seed, uint32_t first)
{
    Bits x = *(const Bits *)LANE_NUMBERS + (first + (uint32_t)seed);
    for (int round = 0; round < 2; round++) {
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15;
        x *= 0x846ca68bu;
        x ^= x >> 16;
        x ^= (uint32_t)(seed >> 32);
    }
    return x;
}

/* All bits for a number of chance that is not below the threshold. */
INLINE Integers not_dropped(uint64_t seed, uint32_t first, uint32_t threshold)
{
    return (Integers)(drawn(seed, first) >= threshold);
}

/* Values that are kept, times the scale; 0 for the others. */
INLINE Floats dropped(Floats values, uint64_t seed, uint32_t first, uint32_t threshold, float scale)
{
    return (Floats)(not_dropped(seed, first, threshold) & (Integers)(values * scale));
}

#endif
