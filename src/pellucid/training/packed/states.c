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

INLINE void drop_row(const Job *job, int row, float *values)
{
    if (!job->threshold) return;
    for (int c = 0; c < job->width; c += LANES)
        *at(values, c) = dropped(*at(values, c), job->seed, (uint32_t)row * job->width + c, job->threshold, job->keep_scale);
}

/* residual = hidden + dropout(sublayer); normed = norm(residual) */
static void add_norm(const Part *part)
{
    const Job *job = part->job;
    int width = job->width, type = job->is_bfloat16;
    float values[MOST_WIDTH], others[MOST_WIDTH], gamma[MOST_WIDTH], beta[MOST_WIDTH];
    read_row(job->gamma, 0, width, type, gamma);
    read_row(job->beta, 0, width, type, beta);
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        read_row(job->sublayer, place, width, type, values);
        drop_row(job, row, values);
        read_row(job->hidden, place, width, type, others);
        Floats sums = all(0);
        for (int c = 0; c < width; c += LANES) sums += *at(values, c) += *at(others, c);
        write_row(values, width, type, job->residual, place);
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
        for (c = 0; c < width; c += LANES)
            *at(values, c) = (*at(values, c) - mean) * scale * *at(gamma, c) + *at(beta, c);
        write_row(values, width, type, job->normed, place);
        job->means[row] = mean;
        job->scales[row] = scale;
    }
}

/* hidden: the gradient of normed; normed and sublayer: those of the residual sum and of the sub-layer */
static void add_norm_backward(const Part *part)
{
    const Job *job = part->job;
    int width = job->width, type = job->is_bfloat16;
    float gradient[MOST_WIDTH], unit[MOST_WIDTH], gamma[MOST_WIDTH];
    float *to_gamma = job->sums + (size_t)part->number * 3 * width, *to_beta = to_gamma + width, *to_bias = to_beta + width;
    float sums[3][MOST_WIDTH];
    for (int i = 0; i < 3; i++) memset(sums[i], 0, (size_t)whole_vectors(width) * sizeof(float));
    read_row(job->gamma, 0, width, type, gamma);
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        float mean = job->means[row], scale = job->scales[row];
        read_row(job->hidden, place, width, type, gradient);
        read_row(job->residual, place, width, type, unit);
        Floats along = all(0), even = all(0);
        for (int c = 0; c < width; c += LANES) { /* beyond the width, gradient and gamma are 0 */
            Floats x = (*at(unit, c) - mean) * scale, g = *at(gradient, c);
            *at(sums[0], c) += g * x;
            *at(sums[1], c) += g;
            g *= *at(gamma, c);
            along += g * x;
            even += g;
            *at(unit, c) = x;
            *at(gradient, c) = g;
        }
        float a = sum_of(along) / width, e = sum_of(even) / width;
        for (int c = 0; c < width; c += LANES) *at(gradient, c) = (*at(gradient, c) - e - *at(unit, c) * a) * scale;
        write_row(gradient, width, type, job->normed, place);
        if (job->threshold) {
            drop_row(job, row, gradient);
            write_row(gradient, width, type, job->sublayer, place);
        }
        for (int c = 0; c < width; c += LANES) *at(sums[2], c) += *at(gradient, c);
    }
    memcpy(to_gamma, sums[0], (size_t)width * sizeof(float));
    memcpy(to_beta, sums[1], (size_t)width * sizeof(float));
    memcpy(to_bias, sums[2], (size_t)width * sizeof(float));
}

/* Sum hidden over its rows; with `residual`, the output of a ReLU, first set it to zero where that is zero. */
static void column_sums(const Part *part)
{
    const Job *job = part->job;
    int width = job->width, type = job->is_bfloat16;
    float *values = malloc(3 * (size_t)whole_vectors(width) * sizeof(float)), *activated = values + whole_vectors(width);
    float *sums = activated + whole_vectors(width), *out = job->sums + (size_t)part->number * width;
    if (!values) { /* seen by the norm of the gradients */
        for (int c = 0; c < width; c++) out[c] = NAN;
        return;
    }
    memset(sums, 0, (size_t)whole_vectors(width) * sizeof(float));
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        read_row(job->hidden, place, width, type, values);
        if (job->residual) {
            read_row(job->residual, place, width, type, activated);
            for (int c = 0; c < width; c += LANES)
                *at(values, c) = chosen(*at(activated, c) > 0, *at(values, c), all(0));
            write_row(values, width, type, job->hidden, place);
        }
        for (int c = 0; c < width; c += LANES) *at(sums, c) += *at(values, c);
    }
    memcpy(out, sums, (size_t)width * sizeof(float));
    free(values);
}

/* normed = dropout(factor * hidden[id] + angles[position]); an id below 0 has the zero vector */
static void embed(const Part *part)
{
    const Job *job = part->job;
    int width = job->width, type = job->is_bfloat16;
    float values[MOST_WIDTH], angles[MOST_WIDTH];
    memset(values, 0, sizeof values);
    for (int row = part->first; row < part->end; row++) {
        if (job->ids[row] >= 0) read_row(job->hidden, (size_t)job->ids[row] * width, width, type, values);
        else memset(values, 0, (size_t)whole_vectors(width) * sizeof(float));
        read_row(job->angles, (size_t)job->positions[row] * width, width, 0, angles);
        for (int c = 0; c < width; c += LANES) *at(values, c) = *at(values, c) * job->factor + *at(angles, c);
        drop_row(job, row, values);
        write_row(values, width, type, job->normed, (size_t)row * width);
    }
}

static void embed_backward(const Part *part)
{
    const Job *job = part->job;
    int width = job->width, type = job->is_bfloat16;
    float values[MOST_WIDTH];
    for (int row = part->first; row < part->end; row++) {
        read_row(job->hidden, (size_t)row * width, width, type, values);
        drop_row(job, row, values);
        for (int c = 0; c < width; c += LANES) *at(values, c) *= job->factor;
        write_row(values, width, type, job->normed, (size_t)row * width);
    }
}

/* Add each row of hidden to that row of the table, in order; not divided among threads. */
static void add_rows(const Part *part)
{
    const Job *job = part->job;
    float values[MOST_WIDTH];
    if (part->number) return;
    for (int row = 0; row < job->rows; row++) {
        read_row(job->hidden, (size_t)row * job->width, job->width, job->is_bfloat16, values);
        float *sum = job->table + (size_t)job->ids[row] * job->width;
        for (int c = 0; c < job->width; c++) sum[c] += values[c];
    }
}

/* Softmax of a row of logits, which can be `out` itself; both have whole vectors. The logarithm of its sum. */
static float softmax_row(float *logits, float *out, int width)
{
    Floats most = all(-FLT_MAX), sums = all(0);
    for (int c = width; c < whole_vectors(width); c++) logits[c] = -FLT_MAX;
    for (int c = 0; c < width; c += LANES) most = chosen(most > *at(logits, c), most, *at(logits, c));
    float largest = largest_of(most);
    for (int c = 0; c < width; c += LANES) {
        Floats power = exponential(*at(logits, c) - largest);
        sums += power;
        *at(out, c) = power;
    }
    float sum = sum_of(sums), inverse = 1.0f / sum;
    for (int c = 0; c < width; c += LANES) *at(out, c) *= inverse;
    return largest + logf(sum);
}

/* Replace logits by softmax - (1 - smoothing) one_hot; the negative log-likelihood and the loss of each row. */
static void softmax_gradient(const Part *part)
{
    const Job *job = part->job;
    int width = job->width;
    float *values = malloc((size_t)whole_vectors(width) * sizeof(float));
    for (int row = part->first; row < part->end; row++) {
        size_t place = (size_t)row * width;
        if (!values) {
            job->likelihoods[row] = job->losses[row] = NAN;
            continue;
        }
        read_row(job->hidden, place, width, job->is_bfloat16, values);
        float logit = values[job->targets[row]], log_sum = softmax_row(values, values, width);
        values[job->targets[row]] -= 1.0f - job->factor;
        write_row(values, width, job->is_bfloat16, job->hidden, place);
        job->likelihoods[row] = log_sum - logit;
        job->losses[row] = (1 - job->factor) * (log_sum - logit) + job->factor * (log_sum - job->mean_logits[row]);
    }
    free(values);
}

/* Do what softmax_gradient does for two passes: `rows` is that of one pass, and the rows of the other one follow. */
static void pair_gradient(const Part *part)
{
    const Job *job = part->job;
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
            read_row(job->hidden, rows[i] * width, width, job->is_bfloat16, logits[i]);
            log_sum[i] = softmax_row(logits[i], values[i], width);
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
