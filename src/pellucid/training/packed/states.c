/* What lies between the matrix products of a packed training step, each in one pass over the hidden states.
 *
 * The functions are those of reference.py. Numbers in memory are float32 or bfloat16, and float32 inside. Rows are divided
 * among threads, and each thread writes its own part of a sum over rows. Dropout draws the numbers of a row and a column
 * from a seed, so a backward function draws those of its forward function again. Python checks all sizes first.
 */

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "../../compiled/team.h"
#include "../../compiled/vectors.h"

enum { MOST_WIDTH = 16384 };

typedef struct { /* a record for all functions; what one does not need is 0 */
    void *hidden, *sublayer, *gamma, *beta, *residual, *normed; /* rows of `width` numbers, or one row */
    float *means, *scales, *sums; /* [rows], [rows], [threads, 1 or 3, width] */
    const int32_t *ids, *positions;
    const float *angles; /* [positions, width] */
    const int64_t *targets;
    float *table, *likelihoods, *losses; /* [vocabulary, width], [rows], [rows]; of two passes [2 * rows] */
    const float *mean_logits; /* [rows]; of two passes [2 * rows] */
    uint64_t seed;
    int32_t rows, width, is_bfloat16, threads;
    uint32_t threshold; /* numbers of chance below it drop a value; 0 drops none */
    float keep_scale, factor; /* factor: epsilon, factor of embeddings, or label smoothing */
    float first, second, forward, reverse; /* the weights of the loss of two passes, PairWeights of regularisers.py */
} Job;

typedef struct {
    const Job *job;
    int number, first, end; /* rows */
} Part;
typedef void (*Work)(const Part *part);

INLINE Floats *at(float *row, int column) { return (Floats *)(row + column); }

INLINE Floats kept(const Job *job, Floats values, int row, int column)
{
    if (!job->threshold) return values;
    return dropped(values, job->seed, (uint32_t)row * job->width + column, job->threshold, job->keep_scale);
}

/* Most functions are written once and compiled four times, for both types of numbers and for rows with or without a rest
 * beside whole vectors: a loop that may have to call memcpy for a rest keeps no constants in registers. */
#define IN_ALL_FORMS(work)                                                                                                     \
    static void work(const Part *part)                                                                                         \
    {                                                                                                                          \
        int type = part->job->is_bfloat16, has_rest = part->job->width % LANES != 0;                                           \
        if (has_rest) type ? work##_of(part, 1, 1) : work##_of(part, 0, 1);                                                    \
        else type ? work##_of(part, 1, 0) : work##_of(part, 0, 0);                                                             \
    }
#define LEFT (has_rest ? width - c : LANES)

/* residual = hidden + dropout(sublayer); normed = norm(residual) */
INLINE void add_norm_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    float values[MOST_WIDTH], gamma[MOST_WIDTH], beta[MOST_WIDTH];
    read_row(job->gamma, 0, width, type, gamma);
    read_row(job->beta, 0, width, type, beta);
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        Floats sums = all(0);
        for (int c = 0; c < width; c += LANES) {
            Floats sum = kept(job, read_vector(job->sublayer, place + c, LEFT, type), row, c);
            sum += read_vector(job->hidden, place + c, LEFT, type);
            write_vector(sum, LEFT, type, job->residual, place + c);
            *at(values, c) = sum;
            sums += sum;
        }
        float mean = sum_of(sums) / width;
        sums = all(0);
        int c = 0;
        for (; c + LANES <= width; c += LANES) {
            Floats centred = *at(values, c) - mean;
            sums += centred * centred;
        }
        float rest = 0;
        for (; c < width; c++) rest += (values[c] - mean) * (values[c] - mean);
        float scale = 1.0f / sqrtf((sum_of(sums) + rest) / width + job->factor);
        for (c = 0; c < width; c += LANES) {
            Floats normed = (*at(values, c) - mean) * scale * *at(gamma, c) + *at(beta, c);
            write_vector(normed, LEFT, type, job->normed, place + c);
        }
        job->means[row] = mean;
        job->scales[row] = scale;
    }
}
IN_ALL_FORMS(add_norm)

/* hidden: the gradient of normed; normed and sublayer: those of the residual sum and of the sub-layer */
INLINE void add_norm_backward_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    float gradient[MOST_WIDTH], unit[MOST_WIDTH], gamma[MOST_WIDTH], sums[3][MOST_WIDTH];
    for (int i = 0; i < 3; i++) memset(sums[i], 0, (size_t)whole_vectors(width) * sizeof(float));
    read_row(job->gamma, 0, width, type, gamma);
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        float mean = job->means[row], scale = job->scales[row];
        Floats along = all(0), even = all(0);
        for (int c = 0; c < width; c += LANES) { /* beyond the width, gradient and gamma are 0 */
            Floats x = (read_vector(job->residual, place + c, LEFT, type) - mean) * scale;
            Floats g = read_vector(job->hidden, place + c, LEFT, type);
            *at(sums[0], c) += g * x;
            *at(sums[1], c) += g;
            g *= *at(gamma, c);
            along += g * x;
            even += g;
            *at(unit, c) = x;
            *at(gradient, c) = g;
        }
        float a = sum_of(along) / width, e = sum_of(even) / width;
        for (int c = 0; c < width; c += LANES) {
            Floats total = (*at(gradient, c) - e - *at(unit, c) * a) * scale;
            write_vector(total, LEFT, type, job->normed, place + c);
            if (job->threshold) {
                total = kept(job, total, row, c);
                write_vector(total, LEFT, type, job->sublayer, place + c);
            }
            *at(sums[2], c) += total;
        }
    }
    for (int i = 0; i < 3; i++) /* of gamma, beta and the bias */
        memcpy(job->sums + ((size_t)part->number * 3 + i) * width, sums[i], (size_t)width * sizeof(float));
}
IN_ALL_FORMS(add_norm_backward)

/* Sum hidden over its rows; with `residual`, the output of a ReLU, first set it to zero where that is zero. */
INLINE void column_sums_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    float *sums = calloc((size_t)whole_vectors(width), sizeof(float)), *out = job->sums + (size_t)part->number * width;
    if (!sums) { /* seen by the norm of the gradients */
        for (int c = 0; c < width; c++) out[c] = NAN;
        return;
    }
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        for (int c = 0; c < width; c += LANES) {
            Floats values = read_vector(job->hidden, place + c, LEFT, type);
            if (job->residual) {
                values = chosen(read_vector(job->residual, place + c, LEFT, type) > 0, values, all(0));
                write_vector(values, LEFT, type, job->hidden, place + c);
            }
            *at(sums, c) += values;
        }
    }
    memcpy(out, sums, (size_t)width * sizeof(float));
    free(sums);
}
IN_ALL_FORMS(column_sums)

/* normed = dropout(factor * hidden[id] + angles[position]); an id below 0 has the zero vector */
INLINE void embed_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    for (int row = part->first; row < part->end; row++) {
        size_t from = (size_t)job->ids[row] * width, angles = (size_t)job->positions[row] * width;
        for (int c = 0; c < width; c += LANES) {
            Floats values = job->ids[row] < 0 ? all(0) : read_vector(job->hidden, from + c, LEFT, type);
            values = values * job->factor + read_vector(job->angles, angles + c, LEFT, 0);
            write_vector(kept(job, values, row, c), LEFT, type, job->normed, (size_t)row * width + c);
        }
    }
}
IN_ALL_FORMS(embed)

INLINE void embed_backward_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    for (int row = part->first; row < part->end; row++)
        for (int c = 0; c < width; c += LANES) {
            size_t place = (size_t)row * width + c;
            Floats values = kept(job, read_vector(job->hidden, place, LEFT, type), row, c);
            write_vector(values * job->factor, LEFT, type, job->normed, place);
        }
}
IN_ALL_FORMS(embed_backward)

/* Add each row of hidden to that row of the table, in order; not divided among threads. */
INLINE void add_rows_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    if (part->number) return;
    for (int row = 0; row < job->rows; row++) {
        float *sum = job->table + (size_t)job->ids[row] * width;
        for (int c = 0; c < width; c += LANES) {
            Floats values = read_vector(job->hidden, (size_t)row * width + c, LEFT, type);
            write_vector(read_vector(sum, c, LEFT, 0) + values, LEFT, 0, sum, c);
        }
    }
}
IN_ALL_FORMS(add_rows)

typedef struct {
    float inverse, logarithm; /* one over the sum of the powers, and the logarithm of the sum of those of the logits */
} Softmax;

/* Read a row of logits, and make powers of them: e to their distance from the largest; `powers` can be `logits` itself. */
INLINE Softmax read_powers(const Job *job, size_t place, float *logits, float *powers, const int type, const int has_rest)
{
    int width = job->width;
    Floats most = all(-FLT_MAX), sums = all(0);
    for (int c = 0; c < width; c += LANES) {
        Floats values = read_vector(job->hidden, place + c, LEFT, type);
        *at(logits, c) = values;
        if (LEFT < LANES) {
            for (int lane = LEFT; lane < LANES; lane++) logits[c + lane] = -FLT_MAX;
            values = *at(logits, c);
        }
        most = chosen(most > values, most, values);
    }
    float largest = largest_of(most);
    for (int c = 0; c < width; c += LANES) {
        Floats power = exponential(*at(logits, c) - largest);
        sums += power;
        *at(powers, c) = power;
    }
    float sum = sum_of(sums);
    return (Softmax){1.0f / sum, largest + logf(sum)};
}

/* Replace logits by softmax - (1 - smoothing) one_hot; the negative log-likelihood and the loss of each row. */
INLINE void softmax_gradient_of(const Part *part, const int type, const int has_rest)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width;
    float *powers = malloc((size_t)whole_vectors(width) * sizeof(float));
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width, target = place + job->targets[row];
        if (!powers) {
            job->likelihoods[row] = job->losses[row] = NAN;
            continue;
        }
        float logit = read_vector(job->hidden, target, 1, type)[0];
        Softmax softmax = read_powers(job, place, powers, powers, type, has_rest);
        for (int c = 0; c < width; c += LANES)
            write_vector(*at(powers, c) * softmax.inverse, LEFT, type, job->hidden, place + c);
        float probability = powers[job->targets[row]] * softmax.inverse;
        write_vector(all(probability - (1.0f - job->factor)), 1, type, job->hidden, target);
        job->likelihoods[row] = softmax.logarithm - logit;
        job->losses[row] = (1 - job->factor) * job->likelihoods[row] + job->factor * (softmax.logarithm - job->mean_logits[row]);
    }
    free(powers);
}
IN_ALL_FORMS(softmax_gradient)

/* Do what softmax_gradient does for two passes: `rows` is that of one pass, and the rows of the other one follow. */
static void pair_gradient(const Part *part)
{
    const Job own = *part->job, *job = &own; /* which no store can change */
    int width = job->width, room = whole_vectors(width);
    float *numbers = malloc(4 * (size_t)room * sizeof(float));
    float *logits[2] = {numbers, numbers + room}, *values[2] = {numbers + 2 * room, numbers + 3 * room};
    float share[2] = {job->first, job->second}, weight[2] = {job->forward, job->reverse};
    for (int row = part->first; row < part->end; row++) {
        size_t rows[2] = {(size_t)row, (size_t)row + job->rows};
        if (!numbers) {
            for (int i = 0; i < 2; i++) job->likelihoods[rows[i]] = job->losses[rows[i]] = NAN;
            continue;
        }
        int64_t target = job->targets[row];
        float log_sum[2], divergence[2];
        for (int i = 0; i < 2; i++) {
            Softmax softmax = read_powers(job, rows[i] * width, logits[i], values[i], job->is_bfloat16, 1);
            for (int c = 0; c < width; c += LANES) *at(values[i], c) *= softmax.inverse;
            log_sum[i] = softmax.logarithm;
        }
        float shift = log_sum[0] - log_sum[1];
        Floats sums[2] = {all(0), all(0)};
        for (int c = 0; c < width; c += LANES) { /* log p - log q; beyond the width, p and q are next to 0 */
            Floats difference = *at(logits[0], c) - *at(logits[1], c) - shift;
            sums[0] += *at(values[0], c) * difference;
            sums[1] -= *at(values[1], c) * difference;
        }
        for (int i = 0; i < 2; i++) divergence[i] = sum_of(sums[i]);
        for (int c = 0; c < width; c += LANES) {
            Floats difference = *at(logits[0], c) - *at(logits[1], c) - shift, p = *at(values[0], c), q = *at(values[1], c);
            *at(values[0], c) = share[0] * p + weight[0] * p * (difference - divergence[0]) + weight[1] * (p - q);
            *at(values[1], c) = share[1] * q - weight[1] * q * (difference + divergence[1]) + weight[0] * (q - p);
        }
        for (int i = 0; i < 2; i++) {
            float likelihood = log_sum[i] - logits[i][target], even = log_sum[i] - job->mean_logits[rows[i]];
            values[i][target] -= share[i] * (1.0f - job->factor);
            write_row(values[i], width, job->is_bfloat16, job->hidden, rows[i] * width);
            job->likelihoods[rows[i]] = likelihood;
            job->losses[rows[i]] =
                share[i] * ((1 - job->factor) * likelihood + job->factor * even) + weight[i] * divergence[i];
        }
    }
    free(numbers);
}

/* ----------------------------------------------------------------------------------------------------- threads --- */

static const Work WORKS[] = {add_norm, add_norm_backward, column_sums, embed, embed_backward, add_rows, softmax_gradient,
                             pair_gradient};
typedef struct {
    Part part;
    Work work;
} Task;

static void do_task(void *tasks, int number)
{
    const Task *task = (const Task *)tasks + number;
    task->work(&task->part);
}

/* Do the work of a number with as many parts as the record has threads; every part is done, if without rows. */
void states_run(const Job *job, int32_t work)
{
    Task tasks[MOST_THREADS];
    int count = job->threads;
    for (int i = 0; i < count; i++) {
        int first = (int)((int64_t)job->rows * i / count), end = (int)((int64_t)job->rows * (i + 1) / count);
        tasks[i] = (Task){{job, i, first, end}, WORKS[work]};
    }
    do_parts(do_task, tasks, count);
}

int32_t states_job_size(void) { return (int32_t)sizeof(Job); }
int32_t states_most_width(void) { return MOST_WIDTH; }
int32_t states_most_threads(void) { return MOST_THREADS; }
