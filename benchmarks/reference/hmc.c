/* Hybrid Monte Carlo of a theory in two dimensions, the plain C loop that latflow is measured against.
 *
 * THEORY names a header with `COMPONENTS` of the field per site, `kick` and `energy`. Leapfrog, double precision. Chains
 * run one after the other, so that field, momentum and force of one chain stay in cache; OpenMP shares chains among
 * threads. A site update is one integrator step at one site; momenta, both energies and the accept/reject are part of
 * the time.
 *
 * usage: hmc L chains n_steps trajectories parameter parameter step_size threads
 * prints: seconds cpu_seconds acceptance <x^2> <exp(-dH)> seconds_in_momenta(thread 0) <S>/(sites)
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    uint64_t s[4];
} generator;

static inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* xoshiro256++ of Blackman and Vigna */
static inline uint64_t next(generator *g) {
    uint64_t *s = g->s, result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static inline double uniform(generator *g) { return (double)(next(g) >> 11) * 0x1.0p-53; }

static void seed(generator *g, uint64_t n) {
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (n += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        g->s[i] = z ^ (z >> 31);
    }
}

/* Marsaglia's polar method; V must be even */
static void normals(generator *g, double *restrict p, int V) {
    for (int i = 0; i < V; i += 2) {
        double u, v, r;
        do {
            u = 2 * uniform(g) - 1;
            v = 2 * uniform(g) - 1;
            r = u * u + v * v;
        } while (r >= 1 || r == 0);
        r = sqrt(-2 * log(r) / r);
        p[i] = u * r;
        p[i + 1] = v * r;
    }
}

#include THEORY

static void drift(double *restrict x, const double *restrict p, int V, double eps) {
    for (int i = 0; i < V; i++) x[i] += eps * p[i];
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: %s L chains n_steps trajectories parameter parameter step_size threads\n", argv[0]);
        return 64;
    }
    const int L = atoi(argv[1]), chains = atoi(argv[2]), n_steps = atoi(argv[3]), trajectories = atoi(argv[4]);
    const double parameters[] = {atof(argv[5]), atof(argv[6])}, eps = atof(argv[7]);
    const int V = COMPONENTS * L * L, threads = atoi(argv[8]);
    if (L < 2 || L % 2) return 64;
    omp_set_num_threads(threads);
    double accepted = 0, squares = 0, creutz = 0, momenta = 0, action = 0;
    double *fields = malloc(sizeof(double) * V * chains);
    for (int c = 0; c < chains; c++) {
        generator g;
        seed(&g, 1000003u * c + 17);
        normals(&g, fields + c * V, V);
        for (int i = 0; i < V; i++) fields[c * V + i] *= START;
    }
    const double start = omp_get_wtime(), cpu0 = (double)clock() / CLOCKS_PER_SEC;
#pragma omp parallel reduction(+ : accepted, squares, creutz, action)
    {
        double *p = aligned_alloc(64, sizeof(double) * (V + 8)), *old = aligned_alloc(64, sizeof(double) * (V + 8));
        double *x = aligned_alloc(64, sizeof(double) * (V + 8));
#pragma omp for schedule(static)
        for (int c = 0; c < chains; c++) {
            generator g;
            seed(&g, c + 1);
            memcpy(x, fields + c * V, sizeof(double) * V);
            for (int t = 0; t < trajectories; t++) {
                memcpy(old, x, sizeof(double) * V);
                double before = omp_get_wtime();
                normals(&g, p, V);
                if (omp_get_thread_num() == 0) momenta += omp_get_wtime() - before;
                double h = energy(p, x, L, parameters);
                kick(p, x, L, parameters, 0.5 * eps);
                for (int s = 0; s < n_steps; s++) {
                    drift(x, p, V, eps);
                    kick(p, x, L, parameters, s == n_steps - 1 ? 0.5 * eps : eps);
                }
                double dh = energy(p, x, L, parameters) - h;
                creutz += exp(-dh);
                if (log(uniform(&g)) < -dh)
                    accepted += 1;
                else
                    memcpy(x, old, sizeof(double) * V);
            }
            for (int i = 0; i < V; i++) squares += x[i] * x[i];
            memset(p, 0, sizeof(double) * V);
            action += energy(p, x, L, parameters);
            memcpy(fields + c * V, x, sizeof(double) * V);
        }
        free(p);
        free(old);
        free(x);
    }
    const double seconds = omp_get_wtime() - start, cpu = (double)clock() / CLOCKS_PER_SEC - cpu0, n = (double)chains * trajectories;
    printf("%.6f %.6f %.6f %.6f %.6f %.6f %.6f\n", seconds, cpu, accepted / n, squares / chains / V, creutz / n, momenta,
           action / chains / (L * L));
    free(fields);
    return 0;
}
