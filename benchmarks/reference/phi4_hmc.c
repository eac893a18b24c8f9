/* Hybrid Monte Carlo for phi^4 in two dimensions, the plain C loop that latflow is measured against.
 *
 * S = sum_x [ (4 + m^2) phi^2 + lambda phi^4 - 2 phi (phi_right + phi_up) ], leapfrog, double precision. Chains run one
 * after the other, so that field, momentum and force of one chain stay in cache; OpenMP shares chains among threads.
 * A site update is one integrator step at one site; momenta, both energies and the accept/reject are part of the time.
 *
 * usage: phi4_hmc L chains n_steps trajectories mass_squared coupling step_size threads
 * prints: seconds cpu_seconds acceptance <phi^2> <exp(-dH)> seconds_in_momenta(thread 0)
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

/* p -= eps * dS/dphi */
static void kick(double *restrict p, const double *restrict x, int L, double m2, double lambda, double eps) {
    const double a = 2 * (4 + m2) * eps, b = 4 * lambda * eps, c = 2 * eps;
    for (int i = 0; i < L; i++) {
        const double *row = x + i * L, *down = x + (i ? i - 1 : L - 1) * L, *up = x + (i < L - 1 ? i + 1 : 0) * L;
        double *q = p + i * L;
        q[0] -= row[0] * (a + b * row[0] * row[0]) - c * (up[0] + down[0] + row[1] + row[L - 1]);
        for (int j = 1; j < L - 1; j++)
            q[j] -= row[j] * (a + b * row[j] * row[j]) - c * (up[j] + down[j] + row[j + 1] + row[j - 1]);
        q[L - 1] -= row[L - 1] * (a + b * row[L - 1] * row[L - 1]) - c * (up[L - 1] + down[L - 1] + row[0] + row[L - 2]);
    }
}

static void drift(double *restrict x, const double *restrict p, int V, double eps) {
    for (int i = 0; i < V; i++) x[i] += eps * p[i];
}

static double energy(const double *restrict p, const double *restrict x, int L, double m2, double lambda) {
    double sum = 0;
    for (int i = 0; i < L; i++) {
        const double *row = x + i * L, *up = x + (i < L - 1 ? i + 1 : 0) * L, *q = p + i * L;
        for (int j = 0; j < L - 1; j++) {
            double y = row[j] * row[j];
            sum += 0.5 * q[j] * q[j] + (4 + m2) * y + lambda * y * y - 2 * row[j] * (up[j] + row[j + 1]);
        }
        double y = row[L - 1] * row[L - 1];
        sum += 0.5 * q[L - 1] * q[L - 1] + (4 + m2) * y + lambda * y * y - 2 * row[L - 1] * (up[L - 1] + row[0]);
    }
    return sum;
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: %s L chains n_steps trajectories mass_squared coupling step_size threads\n", argv[0]);
        return 64;
    }
    const int L = atoi(argv[1]), chains = atoi(argv[2]), n_steps = atoi(argv[3]), trajectories = atoi(argv[4]);
    const double m2 = atof(argv[5]), lambda = atof(argv[6]), eps = atof(argv[7]);
    const int V = L * L, threads = atoi(argv[8]);
    if (L < 2 || L % 2) return 64;
    omp_set_num_threads(threads);
    double accepted = 0, squares = 0, creutz = 0, momenta = 0;
    double *fields = malloc(sizeof(double) * V * chains);
    for (int c = 0; c < chains; c++) {
        generator g;
        seed(&g, 1000003u * c + 17);
        normals(&g, fields + c * V, V);
        for (int i = 0; i < V; i++) fields[c * V + i] *= 0.3;
    }
    const double start = omp_get_wtime(), cpu0 = (double)clock() / CLOCKS_PER_SEC;
#pragma omp parallel reduction(+ : accepted, squares, creutz)
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
                double h = energy(p, x, L, m2, lambda);
                kick(p, x, L, m2, lambda, 0.5 * eps);
                for (int s = 0; s < n_steps; s++) {
                    drift(x, p, V, eps);
                    kick(p, x, L, m2, lambda, s == n_steps - 1 ? 0.5 * eps : eps);
                }
                double dh = energy(p, x, L, m2, lambda) - h;
                creutz += exp(-dh);
                if (log(uniform(&g)) < -dh)
                    accepted += 1;
                else
                    memcpy(x, old, sizeof(double) * V);
            }
            for (int i = 0; i < V; i++) squares += x[i] * x[i];
            memcpy(fields + c * V, x, sizeof(double) * V);
        }
        free(p);
        free(old);
        free(x);
    }
    const double seconds = omp_get_wtime() - start, cpu = (double)clock() / CLOCKS_PER_SEC - cpu0, n = (double)chains * trajectories;
    printf("%.6f %.6f %.6f %.6f %.6f %.6f\n", seconds, cpu, accepted / n, squares / chains / V, creutz / n, momenta);
    free(fields);
    return 0;
}
